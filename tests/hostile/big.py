"""Hostile specs that are large: generated here, never stored."""

from hostile.small import CART, ENV, THREE, channels, evaluate, scale, term, train


def laughs(levels=30):
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x]", *lines]) + f"\n{ENV}"


def merges(levels=40):
    lines = [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 4)}]}}" for i in range(1, levels)]
    return "\n".join(["a0: &a0 {x: 1}", *lines]) + f"\n{ENV}"


def long_text(times):
    return f"{ENV}env_options:\n  a: &a '{'x' * 100_000}'\n  b: [{', '.join(['*a'] * times)}]\n"


def entries(section, count, body, before=""):
    rows = "".join(f"  t{i}: {body.format(i=i)}\n" for i in range(count))
    return f"{ENV}{before}{section}:\n{rows}"


def keys(count):
    return "{" + ", ".join(f"k{i}: 1" for i in range(count)) + "}"


def many_misses(terms=400, targets=30, values=400):
    """Each unknown name is compared with every known one."""
    known = "".join(f"  joint_damping_{i}: {{type: action_noise, set: [0, 0.1]}}\n" for i in range(terms))
    body = "{" + ", ".join(f"joint_dampign_x{i}: 1" for i in range(values)) + "}"
    return f"{ENV}randomize:\n{known}targets:\n" + "".join(f"  t{i}: {body}\n" for i in range(targets))


# name → (document's maker, words)
BIG = {
    "laughs": (laughs, "more than 100000 values"),
    "merged_laughs": (merges, "more than 100000 values"),
    "unfolded_text": (lambda: long_text(5000), "more than 1000000 characters"),
    "nested_flow": (lambda: f"{ENV}x: {'[' * 1000}{']' * 1000}", "nested too deeply"),
    "nested_mappings": (lambda: f"{ENV}x: {'{a: ' * 1000}1{'}' * 1000}", "nested too deeply"),
    "nested_block": (lambda: "".join(" " * i + "a:\n" for i in range(1000)), "nested too deeply"),
    "nested_open": (lambda: "[" * 100_000, "nested too deeply"),
    "nested_keys": (lambda: "? " * 5000, "nested too deeply"),
    "nested_in_a_term": (lambda: scale("[" * 100 + "1" + "]" * 100), "nested too deeply"),
    "long_key": (lambda: f"{ENV}? {'x' * 900_000}\n: 2\n", "unknown key 'xxx"),
    "long_env": (lambda: f"env: {'x' * 900_000}\n", "unknown environment 'xxx"),
    "long_tag": (lambda: f"env: !{'x' * 100_000} y\n", "is not allowed"),
    "long_type": (lambda: term(f"{{type: {'x' * 900_000}}}"), "unknown randomizer 'xxx"),
    "long_unit": (lambda: scale("1 " + "m" * 100_000), "is not a number"),
    "long_digits": (lambda: scale("1" * 100_000 + "x"), "is not a number"),
    "long_quantity": (lambda: scale('"1 m' + " " * 100_000 + '\\nx"'), "is not a number"),
    "long_base_60": (lambda: scale(":".join(["59"] * 5000)), "is not a number"),
    "long_algorithm": (lambda: train(f"{{algorithm: {'x' * 100_000}}}"), "unknown algorithm 'xxx"),
    "twice_20000_times": (lambda: train("{" + ", ".join(["steps: 1"] * 10_000) + "}"), "is given twice"),
    "unknown_keys": (lambda: ENV + "".join(f"k{i}: 1\n" for i in range(5000)), "more mistakes"),
    "unknown_settings": (lambda: train(f"{{agent: {keys(2000)}}}"), "more mistakes"),
    "unknown_options": (lambda: f"env: CartPole-v1\nenv_options: {keys(1000)}\n", "cannot be made"),
    "distributions": (lambda: scale(keys(10_000)), "exactly one distribution, given 10000"),
    "shots": (lambda: evaluate("{shots: [" + ", ".join(["-1"] * 10_000) + "]}"), "more mistakes"),
    "channels": (lambda: channels("[" + ", ".join(["'0:9'"] * 20_000) + "]"), "no signal has as many"),
    "terms": (lambda: entries("randomize", 5000, "{{type: maas{i}}}"), "has 5000 entries, of at most 1000"),
    "targets": (
        lambda: entries("targets", 5000, "{{m: 1}}", f"randomize:\n{CART}"),
        "has 5000 entries, of at most 1000",
    ),
    "values": (lambda: f"{ENV}targets:\n  far: {keys(5000)}\n", "has 5000 entries, of at most 1000"),
    "misses": (many_misses, "more than 200 values in all name no term"),
    "group": (
        lambda: f"{THREE}correlate: {{g: {{terms: {[f'a{i}' for i in range(5000)]}, correlation: 0}}}}",
        "has 5000 entries, of at most 100",
    ),
    "bad_choice": (lambda: scale("{choice: [" + ", ".join(["-1"] * 10_000) + "]}"), "must be above 0"),
}  # fmt: skip
SLOW = {
    "values_1e5": (lambda: "".join(f"t{i}: 1\n" for i in range(70_000)), "more mistakes"),
    "terms_1e5": (lambda: entries("randomize", 100_000, "1"), "longer than 1000000 characters"),
    "choice_1e5": (lambda: scale("{choice: [" + ", ".join(["-1"] * 90_000) + "]}"), "must be above 0"),
    "text_60mb": (lambda: "# x\n" * 15_000_000 + ENV, "longer than 1000000 characters"),
}
