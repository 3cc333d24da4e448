"""Small hostile specs, and words of the one message that each must give."""

import json

ENV = "env: InvertedPendulum-v5\n"
CART = "  m: {type: mass, select: cart, scale: [0.9, 1.1]}\n"
THREE = f"""{ENV}randomize:
  a: {{type: mass, select: cart, scale: [0.9, 1.1]}}
  b: {{type: mass, select: pole, scale: [0.9, 1.1]}}
  c: {{type: damping, select: hinge, set: [0.1, 0.2]}}
"""


def term(body):
    return f"{ENV}randomize:\n  t: {body}\n"


def scale(operand):
    return term(f"{{type: mass, select: pole, scale: {operand}}}")


def when(body):
    return term(f"{{type: mass, select: pole, scale: [0.9, 1.1], when: {body}}}")


def select(pattern):
    return term(f"{{type: mass, select: {json.dumps(pattern)}, scale: [0.9, 1.1]}}")


def channels(body):
    return term(f"{{type: action_noise, channels: {body}, set: [0, 0.1]}}")


def named(name):
    return f"{ENV}randomize:\n  {json.dumps(name)}: {{type: mass, select: pole, scale: [0.9, 1.1]}}\n"


def target(body):
    return f"{ENV}randomize:\n{CART}targets:\n  far: {body}\n"


def group(body):
    return f"{THREE}correlate:\n  g: {body}\n"


def train(body):
    return f"{ENV}train: {body}\n"


def agent(body):
    return train(f"{{agent: {body}}}")


def evaluate(body):
    return f"{ENV}evaluate: {body}\n"


# name → (document, words of its message)
DOCUMENTS = {
    "only_comments": ("# one\n# two\n", "the file is empty"),
    "only_dashes": ("---\n", "the file is empty"),
    "only_dots": ("...\n", "not valid YAML"),
    "null": ("~\n", "the file is empty"),
    "true": ("true\n", "given only true"),
    "nul": (ENV + "\0", "U+0000 is not allowed"),
    "bell": (ENV + "a: \x07\n", "U+0007 is not allowed"),
    "delete": (ENV + "a: \x7f\n", "U+007F is not allowed"),
    "utf16": (ENV.encode("utf-16"), "not UTF-8"),
    "utf16_without_mark": (ENV.encode("utf-16-le"), "U+0000 is not allowed"),
    "utf32": (ENV.encode("utf-32"), "not UTF-8"),
    "latin1": ("env: Höpper".encode("latin-1"), "not UTF-8"),
    "bytes": (bytes(range(256)), "not UTF-8"),
    "surrogate": (b"env: \xed\xa0\x80\n", "not UTF-8"),
    "two_marks": ("\ufeff\ufeff" + ENV, r"unknown key '\ufeffenv'"),
    "xml": ("<mujoco/>", "given only '<mujoco/>'"),
    "ini": ("[env]\nname=3\n", "not valid YAML"),
    "open_quote": ('env: "abc\n', "not valid YAML"),
    "open_brace": ("train: {steps: 3\n", "not valid YAML"),
    "windows_lines": ("env: InvertedPendulum-v5\r\ntrain:\r\n  steps: x\r\n", ":3: train.steps"),
    "newer_yaml": ("%YAML 9.9\n---\nenv: A\n", "not valid YAML"),
    "anchor_twice": ("env: &a x\nb: &a y\n", "this anchor (&) is given a second time"),
    "bad_escape": ('env: "\\uZZZZ"\n', "not valid YAML"),
    "escaped_nul": ('env: "a\\0b"\n', r"'a\x00b'"),
    "escaped_surrogate": ('env: "\\ud800"\n', r"'\ud800'"),
    "terminal_codes": ('env: "\\e[31mred"\n', r"'\x1b[31mred'"),
    "terminal_codes_in_key": (ENV + '"\\e[31mred": 1\n', r"unknown key '\x1b[31mred'"),
    "newline_in_key": (ENV + '"a\\nb": 1\n', r"a\nb: unknown key"),
    "right_to_left_key": ("\u202eenv: x\n", r"unknown key '\u202eenv'"),
    "zero_width_key": ("env\u200b: x\n", r"unknown key 'env\u200b'"),
    "no_break_space_key": ("env\xa0: x\n", r"unknown key 'env\xa0'"),
    "full_width_key": ("ｅｎｖ: x\n", "unknown key 'ｅｎｖ'"),
    "cyrillic_key": ("еnv: x\n", "env: is missing"),
    "upper_case_key": ("ENV: x\n", "did you mean 'env'"),
    "number_key": (ENV + "1: 2\n", "unknown key '1'"),
    "null_key": (ENV + "null: 2\n", "unknown key 'null'"),
    "on_key": (ENV + "on: 2\n", "unknown key 'on'"),
    "date_key": (ENV + "2024-01-01: 2\n", "unknown key '2024-01-01'"),
    "empty_key": (ENV + "'': 2\n", "unknown key ''"),
    "list_key": (ENV + "[a]: 2\n", "is not a plain word"),
    "mapping_key": (ENV + "{a: b}: 2\n", "is not a plain word"),
    "binary_key": (ENV + "!!binary eA==: 1\n", "is not a plain word"),
    "twice_at_the_top": (ENV + ENV, "'env' is given twice"),
    "twice_in_a_term": (term("{type: mass, type: mass, select: pole, scale: 2}"), "'type' is given twice"),
    "twice_a_distribution": (scale("{uniform: [1, 2], uniform: [1, 2]}"), "'uniform' is given twice"),
    "twice_in_agent": (agent("{gamma: 0.9, gamma: 0.8}"), "'gamma' is given twice"),
    "twice_a_target": (ENV + "targets:\n  a: {}\n  a: {}\n", "'a' is given twice"),
    "alias_in_a_key": (ENV + "&a x: 1\n*a : 2\n", "'x' is given twice"),
    "merge_null": (ENV + "train: {<<: }\n", "`<<:` takes a mapping"),
    "merge_of_mixed_list": (ENV + "train: {<<: [1, {steps: 3}]}\n", "`<<:` takes a mapping"),
    "self_in_key": (ENV + "x: &a {*a : 1}\n", "is not a plain word"),
    "self_merge": (ENV + "x: &a {<<: *a}\n", "inside themselves"),
    "tag_apply": ("env: !!python/object/apply:os.system [echo]\n", "is not allowed"),
    "tag_include": ("env: !include /etc/passwd\n", "'!include' is not allowed"),
    "tag_set": (ENV + "train: !!set {steps}\n", "'!!set' is not allowed"),
    "tag_on_list": (ENV + "train: !!map [a]\n", "must be a mapping"),
    "tag_float_of_nothing": (train("{steps: !!float ''}"), "cannot be read as !!float"),
}  # fmt: skip
ENVIRONMENTS = {
    "list": ("env: [a, b]\n", "must be a name"),
    "mapping": ("env: {a: b}\n", "must be a name"),
    "nan": ("env: .nan\n", "must be a name"),
    "yes": ("env: yes\n", "must be a name, given true"),
    "path": ("env: ../../etc/passwd\n", "unknown environment '../../etc/passwd'"),
    "emoji": ("env: 🤖-v5\n", "unknown environment '🤖-v5'"),
    "right_to_left": ("env: \u202eHopper-v5\n", r"'\u202eHopper-v5'; did you mean 'Hopper-v5'"),
    "zero_width": ("env: Hopper-v5\u200b\n", r"'Hopper-v5\u200b'; did you mean"),
    "full_width": ("env: Ｈopper-v5\n", "did you mean 'Hopper-v5'"),
    "format": ("env: '%s{0.__class__}'\n", "unknown environment '%s{0.__class__}'"),
    "only_colon": ("env: ':'\n", "cannot be loaded"),
    "relative_module": ("env: '..:Bar'\n", "cannot be loaded"),
    "nul_module": ('env: "a\\0b:C"\n', r"'a\x00b'"),
    "a_function": ("env: 'os:system'\n", "cannot be made"),
    "a_function_that_works": ("env: 'builtins:print'\n", "is no Gymnasium environment"),
    "a_class": ("env: 'builtins:dict'\n", "is no Gymnasium environment: it makes a dict"),
    "exit": ("env: 'builtins:exit'\n", "cannot be made: SystemExit"),
    "abstract_task": ("env: 'sim2real.envs.task:Task'\n", "does not define observe"),
    "abstract_mjcf_task": ("env: 'sim2real.envs.tasks:MjcfTask'\n", "does not define observe"),
    "needs_jax": ("env: phys2d/CartPole-v1\n", "cannot be made"),
    "deep_module": (f"env: '{'a.' * 5000}b:C'\n", "cannot be loaded"),
    "options_list": (ENV + "env_options: [1]\n", "must be a mapping"),
    "options_number_key": (ENV + "env_options: {1: 1}\n", "has no option '1'"),
    "options_of_make": ("env: CartPole-v1\nenv_options: {id: x}\n", "cannot be made"),
    "no_frames": ("env: HumanoidStandup-v5\nenv_options: {frame_skip: 0}\n", "ZeroDivisionError"),
    "file_is_a_list": ("env: HumanoidStandup-v5\nenv_options: {xml_file: [1]}\n", "cannot be made"),
    "noise_is_a_text": ("env: HumanoidStandup-v5\nenv_options: {reset_noise_scale: x}\n", "cannot be used"),
    "reward_is_a_list": ("env: FetchReach-v4\nenv_options: {reward_type: [1]}\n", "'sparse' or 'dense'"),
}  # fmt: skip
TERMS = {
    "section_text": (ENV + "randomize: x\n", "must be a mapping, given 'x'"),
    "section_true": (ENV + "randomize: yes\n", "must be a mapping, given true"),
    "null": (term("null"), "a term is a mapping"),
    "type_list": (term("{type: [mass]}"), "must be a name, given ['mass']"),
    "type_dunder": (term("{type: __class__}"), "unknown randomizer '__class__'"),
    "type_chinese": (term("{type: 质量}"), "unknown randomizer '质量'"),
    "type_function": (term("{type: 'os:system'}"), "is not a Term"),
    "type_abstract": (term("{type: 'randomizers:Randomizer'}"), "defines no parameters"),
    "type_relative": (term("{type: '.x:y'}"), "cannot be loaded"),
    "three_operations": (term("{type: mass, select: pole, scale: 2, add: 1, set: 3}"), "exactly one of"),
    "share_number": (term("{type: mass, select: pole, scale: 2, share: 7}"), "must be true or false"),
    "dunder_key": (term("{type: mass, select: pole, scale: 2, __class__: x}"), "unknown key '__class__'"),
    **{
        f"name_{i}": (named(name), "cannot be a name")
        for i, name in enumerate(
            ["../../x", "/etc/passwd", "a\\b", "%s", "名字", "имя", "🤖", "", " ", "--help", "..", "a=b",
             "a,b", "$HOME", "a\u200b", "\u202ea", "ａ", "é", "a\n", "\u0661", "*"]
        )
    },
    "name_reserved": (named("inside"), "has a meaning of its own"),
    "name_too_long": (named("x" * 300), "too long a name: 300 characters"),
}  # fmt: skip
NUMBERS = {
    "nan": (scale(".nan"), "nan is not a finite number"),
    "infinity": (scale("-.inf"), "-inf is not a finite number"),
    "nan_text": (scale("'nan'"), "'nan' is not a number"),
    "1e400": (scale("1e400"), "not a finite number"),
    "1e400_percent": (scale("1e400 %"), "not a finite number"),
    "400_digits": (scale("1" + "0" * 400), "cannot be read as !!int"),
    "quoted_hex": (scale("'0x10'"), "unknown unit 'x10'"),
    "base_60": (scale("1:30"), "unknown unit ':30' in '1:30'"),
    "base_60_steps": (train("{steps: 1:30}"), "must be a whole number, given '1:30'"),
    "octal_of_yaml_2": (scale("0o17"), "unknown unit 'o17'"),
    "binary": (scale("0b2"), "unknown unit 'b2'"),
    "bytes": (scale("!!binary AAAA"), "'!!binary' is not allowed"),
    "date": (scale("2024-01-01"), "unknown unit '-01-01'"),
    "off": (scale("off"), "false is not a number"),
    "superscript": (scale("²"), "'²' is not a number"),
    "roman": (scale("Ⅻ"), "'Ⅻ' is not a number"),
    "fraction": (scale("½"), "'½' is not a number"),
    "minus_sign": (scale("−1"), "'−1' is not a number"),
    "decimal_comma": (scale("'1,5'"), "unknown unit ',5'"),
    "underscore_first": (scale("_1"), "'_1' is not a number"),
    "unit_twice": (scale("10 ms ms"), "unknown unit 'ms ms'"),
    "unit_alone": (scale("ms"), "'ms' is not a number"),
    "unit_of_another_kind": (scale("10 kg"), "a plain factor or % is wanted"),
    "plus_minus_nothing": (scale("±"), "'±' is not a number"),
    "plus_minus_minus": (scale("±-1"), "behind ± stands a number of at least 0"),
    "list_of_none": (scale("[]"), "given 0 values"),
    "list_of_three": (scale("[1, 2, 3]"), "given 3 values"),
    "list_of_lists": (scale("[[1, 2], [3, 4]]"), "[1, 2] is not a number"),
    "reversed": (scale("[2, 1]"), "low 2 is above high 1"),
    "no_distribution": (scale("{}"), "exactly one distribution, given none"),
    "two_distributions": (scale("{uniform: [1, 2], normal: [1, 2]}"), "exactly one distribution, given 2"),
    "nested_distributions": (scale("{uniform: [{uniform: [1, 2]}, 3]}"), "{uniform: [1, 2]} is not a number"),
    "null_distribution": (scale("{uniform: }"), "a list of numbers, given nothing"),
    "named_wrongly": (scale("{uniform: {low: 1, hgih: 2}}"), "did you mean 'high'"),
    "log_across_zero": (scale("{log_uniform: [-1, 1]}"), "log_uniform needs low > 0"),
    "beta_zero": (scale("{beta: [0, 1, 0.5, 1]}"), "a must be > 0"),
    "beta_with_unit": (scale("{beta: [1 kg, 1, 0.5, 1]}"), "a plain factor or % is wanted"),
    "normal_of_no_width": (scale("{normal: [1, 0]}"), "std must be > 0"),
    "truncated_far_away": (scale("{truncated_normal: [1, 0.001, 5, 6]}"), "more than 8 std from the mean"),
    "choice_of_mixed": (scale("{choice: [1, a, {b: 1}]}"), "'a' is not a number"),
    "range_of_everything": (scale("[-1e308, 1e308]"), "must be above 0"),
    "when_two": (when("{every: 2 s, walk: 1 s}"), "must be reset, run, or one of"),
    "when_list": (when("[every]"), "must be reset, run, or one of"),
    "when_nan": (when("{every: .nan}"), "not a finite number"),
    "when_never": (when("{every: 0}"), "needs a time above 0 s"),
    "when_always": (when("{walk: 1e-300}"), "a time of at least 1e-06 s"),
    "when_nested": (when("{every: {every: 2 s}}"), "is not a number"),
    "channel_negative": (channels("[-1]"), "-1 is no channel"),
    "channel_truth": (channels("[true]"), "true is no channel"),
    "channel_reversed": (channels("['5:2']"), "names no channel"),
    "channel_superscript": (channels("'²'"), "'²' is no channel"),
    "channel_of_5000_digits": (channels(f"'{'9' * 5000}'"), "is no channel"),
    "channel_huge": (channels("[99999999999999999999]"), "no signal has more than"),
    "channel_range_huge": (channels("'0:100000000000'"), "no signal has more than"),
}  # fmt: skip
PATTERNS = {
    "null": (term("{type: mass, select: , scale: 2}"), "must be a text, given nothing"),
    "mapping": (term("{type: mass, select: {a: b}, scale: 2}"), "must be a text"),
    "empty": (select(""), "'' matches no body"),
    "nul": (select("\0"), r"'\x00' matches no body"),
    "open_group": (select("("), "is not a regular expression"),
    "look_behind": (select("(?<=a*)b"), "is not a regular expression"),
    "overflow": (select("a{99999999999999}"), "not a usable regular expression"),
    "recursion": (select("(" * 490 + ")" * 490), "'((((("),
    "too_long": (select("a" * 2000), "a pattern of 2000 characters"),
    **{
        f"catastrophe_{i}": (select(pattern), "could take for ever")
        for i, pattern in enumerate(
            ["(a+)+$", "(a|aa)*b", "(.*)*x", ".*.*.*.*.*.*.*.*x", "(a?){40}a{40}", "a?" * 40 + "a" * 40,
             "((a{0,100}){0,100}){0,100}", "(?=(a+)+$)b", "(a+)+?b", "(a{1,3}){1,30}b", "(?>(a+)+)b",
             "(x)?(?(1)(a+)+|b)", "(a*)*\\1", "(?i:a+)+b"]
        )
    },
}  # fmt: skip
# Real patterns, none of which may be taken for a catastrophe.
USUAL_PATTERNS = [
    ".*", "po.*", "pole|cart", "(left|right|po).*", "p[a-z]+", "po\\w+", "(x_)?pole", "pole(_[0-9]+)?",
    ".*p.*o.*l.*e", "(?i)POLE", "(po|ca)(le|rt)", "p.{3}", "(?!cart).*", "(left|right|.*)_(hip|knee)_.*|pole",
]  # fmt: skip
TARGETS = {
    "section_number": (ENV + "targets: 3\n", "must be a mapping, given 3"),
    "null": (target(""), "a target is a mapping"),
    "unknown": (target("{nope: 1}"), "no term or parameter 'nope'"),
    "nested": (target("{m: {a: 1}}"), "give one number, not {a: 1}"),
    "nan": (target("{m: .nan}"), "nan is not a finite number"),
    "truth": (target("{m: true}"), "true is not a number"),
    "inside_number": (target("{m: 2, inside: 1}"), "must be true or false"),
    "without_terms": (ENV + "targets:\n  far: {m: 1}\n", "no term or parameter 'm'"),
    "source": (ENV + "targets: {source: {}}\n", "has a meaning of its own"),
    "comma": (ENV + "targets: {'a,b': {}}\n", "cannot be a name"),
    "group_of_one": (group("{terms: [a], correlation: 0.5}"), "2 or more"),
    "group_unknown": (group("{terms: [a, nope], correlation: 0.5}"), "no term or parameter 'nope'"),
    "group_same": (group("{terms: [a, a], correlation: 0.5}"), "named twice"),
    "group_of_numbers": (group("{terms: [1, 2], correlation: 0.5}"), "must be a text, given 1"),
    "group_nan": (group("{terms: [a, b], correlation: .nan}"), "nan is not a finite number"),
    "group_two": (group("{terms: [a, b], correlation: 2}"), "positive definite"),
    "group_not_square": (group("{terms: [a, b], correlation: [[1, 0]]}"), "2 rows of 2 numbers"),
    "group_ragged": (group("{terms: [a, b], correlation: [[1], [0, 1]]}"), "2 rows of 2 numbers"),
    "group_empty_rows": (group("{terms: [a, b], correlation: [[], []]}"), "2 rows of 2 numbers"),
    "group_asymmetric": (group("{terms: [a, b], correlation: [[1, 0.1], [0.2, 1]]}"), "symmetric"),
    "group_diagonal": (group("{terms: [a, b], correlation: [[2, 0], [0, 2]]}"), "ones on its diagonal"),
    "group_indefinite": (group("{terms: [a, b, c], correlation: -0.6}"), "positive definite"),
    "group_both": (group("{terms: [a, b], correlation: 0, covariance: [[1, 0], [0, 1]]}"), "exactly one of"),
    "group_overflow": (
        group("{terms: [a, b], covariance: [[1e308, 1e308], [1e308, 1e308]]}"), "positive definite",
    ),
}  # fmt: skip
RUNS = {
    "train_list": (train("[1]"), "must be a mapping"),
    "algorithm_null": (train("{algorithm: }"), "must be a text, given nothing"),
    "algorithm_mapping": (train("{algorithm: {a: b}}"), "must be a text"),
    "steps_zero": (train("{steps: 0}"), "at least 1"),
    "steps_fraction": (train("{steps: 1.5}"), "a whole number"),
    "steps_1e30": (train("{steps: 1e30}"), "at most 1000000000000000"),
    "steps_300_digits": (train("{steps: 1" + "0" * 300 + "}"), "at most 1000000000000000"),
    "steps_infinite": (train("{steps: 'inf'}"), "finite"),
    "worlds_1e9": (train("{num_envs: 1000000000}"), "at most 65536"),
    "seed_negative": (train("{seed: -1}"), "at least 0"),
    "seed_huge": (train("{seed: 2147483648}"), "below 2147483648"),
    "seed_text": (train("{seed: abc}"), "a whole number"),
    "seed_truth": (train("{seed: true}"), "a whole number"),
    "baseline_number": (train("{baseline: 7}"), "true or false"),
    "agent_list": (agent("[1]"), "must be a mapping"),
    "agent_gamma_list": (agent("{gamma: [1]}"), "must be a number"),
    "agent_gamma_nan": (agent("{gamma: .nan}"), "finite number"),
    "agent_layers_negative": (agent("{actor_hidden: [-1]}"), "above 0"),
    "agent_batch_fraction": (agent("{batch_size: 1.5}"), "a whole number"),
    "shots_nested": (evaluate("{shots: [[1]]}"), "a whole number"),
    "shots_null": (evaluate("{shots: [null]}"), "a whole number"),
    "finetune_list": (evaluate("{finetune: [all]}"), "must be 'all', 'last_layer'"),
    "updates_infinite": (evaluate("{updates_per_step: .inf}"), "finite number"),
}
# name → (assignment, words); all on a spec that is right
OVERRIDES = {
    "no_equals": ("train", "is not of the form"),
    "only_equals": ("=", "is not of the form"),
    "empty": ("", "is not of the form"),
    "only_dots": ("..=1", "is not of the form"),
    "deep": (".".join(["a"] * 3000) + "=1", "is not of the form"),
    "unknown": ("a.b.c=", "unknown key 'a'"),
    "unclosed": ("env=[", "not valid YAML"),
    "section_to_scalar": ("train=3", "must be a mapping, given 3"),
    "into_a_scalar": ("env.x=1", "'env' is not a mapping"),
    "into_a_list": ("evaluate.shots.0=1", "must be a list"),
    "two_documents": ("env=a\n---\nb", "a second document"),
    "nul": ("env=\0", "U+0000 is not allowed"),
    "surrogate": ("env=\ud800", "U+D800 is not allowed"),
    "surrogate_key": ("\ud800=1", r"unknown key '\ud800'"),
    "terminal_codes": ("\x1b[31m=1", r"unknown key '\x1b[31m'"),
    "bomb": ("env=" + "[" * 5000, "nested too deeply"),
    "long": ("env=" + "x" * 100_000, "unknown environment"),
    "long_key": ("x" * 100_000 + "=1", "unknown key"),
    "self": ("train=&a [*a]", "inside themselves"),
    "digits": ("train.steps=" + "9" * 5000, "cannot be read as !!int"),
}
BAD = {
    f"{group}-{name}": case
    for group, cases in {
        "document": DOCUMENTS, "env": ENVIRONMENTS, "term": TERMS, "number": NUMBERS, "pattern": PATTERNS,
        "target": TARGETS, "run": RUNS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip
# Odd, but with one meaning only, so accepted. NAME allows ASCII letters, digits, '_' and '-'.
FINE = {
    "digits_of_any_script": scale("[٠.٩, １]"),
    "leading_zero_is_decimal": scale("[01, 02]"),
    "hexadecimal": train("{seed: 0x10}"),
    "names_of_yaml_1": ENV + f"randomize:\n{CART}targets:\n  on: {{m: 2}}\n  no: {{m: 3}}\n  1: {{m: 4}}\n",
    "windows_lines_and_mark": "\ufeff" + ENV.replace("\n", "\r\n"),
    "json": '{"env": "InvertedPendulum-v5", "train": {"steps": 1e5}}',
    "deep_but_right": "env: " + "&a " + "InvertedPendulum-v5\ntargets: {}\n",
}
