"""At least one use of every randomizer that only pictures show, as `samples.SAMPLES`: name → [(model, body)].

`gallery` is `models/gallery.xml`.
"""

GALLERY = "gallery"

# Terms that edit model fields.
EDITING = {
    "geom_color": [
        (GALLERY, {"select": ".*", "set": [0, 1]}),
        (GALLERY, {"select": "post|painted", "scale": [0.3, 1.5], "share": True}),
        ("Hopper-v5", {"select": "floor|torso_geom", "add": "±0.3"}),
        ("FetchPush-v4", {"select": ".*", "add": "±0.3"}),
    ],
    "material_color": [
        (GALLERY, {"select": "clay|dull|tiles", "set": [0, 1]}),
        (GALLERY, {"select": "clay|wood", "scale": [0.3, 1.2]}),
        ("FetchPush-v4", {"select": "table_mat|floor_mat", "add": "±0.3", "share": True}),
    ],
    "material_specular": [(GALLERY, {"select": "clay|tiles", "set": [0, 1]})],
    "material_shininess": [(GALLERY, {"select": "clay", "set": [0.1, 1]})],
    "material_reflectance": [(GALLERY, {"select": "tiles", "set": [0, 0.8]})],
    "material_emission": [(GALLERY, {"select": "clay|wood", "add": [0.1, 1]})],
    "light_position": [
        (GALLERY, {"select": "lamp|follower", "add": ["10 cm", "50 cm"]}),
        ("Pusher-v5", {"select": ".*", "axes": "xz", "add": "±1"}),
    ],
    "light_direction": [
        (GALLERY, {"select": "lamp|sun", "add": "±20 deg"}),
        ("Hopper-v5", {"select": ".*", "axes": "y", "add": "±30 deg"}),
    ],
    "light_diffuse": [
        (GALLERY, {"select": ".*", "scale": [0.3, 1.8]}),
        ("FetchPush-v4", {"select": "light0", "scale": [0.3, 0.9]}),
    ],
    "headlight": [
        (GALLERY, {"scale": [0.3, 2]}),
        (GALLERY, {"part": "ambient", "set": [0.3, 2]}),
        ("InvertedDoublePendulum-v5", {"part": "diffuse", "add": "±0.5"}),
    ],
    "camera_position": [
        (GALLERY, {"select": "view", "add": "±20 cm"}),
        ("Hopper-v5", {"select": "track", "axes": "xz", "add": "±20 cm"}),
    ],
    "camera_angle": [
        (GALLERY, {"select": "view", "add": "±5 deg"}),
        ("Hopper-v5", {"select": "track", "axes": "z", "add": "±5 deg"}),
    ],
    "field_of_view": [
        (GALLERY, {"select": "view", "set": ["30 deg", "70 deg"]}),
        ("FetchPush-v4", {"select": "view", "scale": [0.8, 1.2]}),
        ("Hopper-v5", {"select": "track", "add": "±10 deg"}),
    ],
    "focal_length": [(GALLERY, {"select": "lens", "scale": [0.5, 2]})],
}
# Terms that repaint textures, or change the finished picture.
OTHERS = {
    "texture": [
        (GALLERY, {"select": ".*"}),
        ("Hopper-v5", {"select": "texplane|skybox", "patterns": ["checker", "noise"], "cells": [2, 9]}),
        (GALLERY, {"select": "wood|tiles", "patterns": "gradient", "share": True}),
    ],
    "image_exposure": [("Hopper-v5", {"add": "±1 stop"})],
    "image_blur": [("Hopper-v5", {"set": [0.5, "2 px"]})],
    "image_noise": [("Hopper-v5", {"set": [0.01, "10 %"]})],
}
SAMPLES = EDITING | OTHERS
