# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own video
#
# Everything before this chapter leads to one command: it takes videos and writes down, second by
# second, what can be heard and what can be seen. Either the two teachers judge, by any captions
# you give them and without training, or a network that you have trained.
#
# ```bash
# link-avvp parse party.mp4 --classes 'dog, doorbell, laughter' --out parsed
# ```
#
# The cells below call the Python functions behind the commands; where a command does the same, the
# section shows it.
#
# :::{important}
# The encoders' weights are gigabytes. The commands fetch them once, from the hub. This chapter
# fetches nothing: without weights in the Hugging Face cache of this machine it runs with **random
# weights**, and what it then finds in a video means nothing. The experiment below is exempt. It
# asks in which second features change, and not what they mean: random weights, too, make the same
# of the same picture or sound, and something else of another.
# :::

# %%
from link.notebook import chapter_network, chapter_training

import textwrap
from dataclasses import replace

import numpy as np

from at_hand import chapter_encoders, chapter_video, draw_video, folder
from link import plots
from link.clip_features import encode_clips
from link.events import Event, Parsing
from link.exports import write
from link.extraction import extract
from link.label_files import read_labels
from link.media import read_windows
from link.own_data import label_clips
from link.parsed_video import ParsedVideo
from link.parser import by_network, by_teachers, parse_videos
from link.player import Player
from link.pretrained import load
from link.pseudo_labels import captions_for, text_features
from link.runs import RunFolder
from link.training import fit

# %% tags=["nbval-ignore-output"]
clip, clap = chapter_encoders()

# %% [markdown]
# ## What an answer looks like
#
# Here is a small video, drawn for this book, whose events are known because we put them there. A
# ball is seen from second 2 to 7, and its tone is heard from 4 to 9. A `ParsedVideo` holds the
# grid of segments and what is known beside it; `Player` shows it.

# %% tags=["nbval-ignore-output"]
drawn = draw_video(folder() / "ball.mp4")
events = [Event("Ball", 2, 7, "visual"), Event("Ball", 4, 9, "audio")]
truth = ParsedVideo(
    Parsing.from_events(events, classes=("Ball",)),
    drawn,
    provenance={"model": "none: written down by hand"},
)
Player(truth)

# %% [markdown]
# *Two lanes a class, heard and seen; where they overlap, both at once. Press play, click on a lane
# to go there, or use the arrow keys.*
#
# ## Six formats
#
# The same answer as files, one a format beside each other. `--format csv,html` chooses.
#
# ```bash
# link-avvp parse party.mp4 --out parsed --format all
# ```

# %%
files = write(truth, folder() / "parsed", "ball")
for file in files[:5]:
    if file.suffix in (".csv", ".vtt", ".txt"):
        print(f"---- {file.name}")
        print(file.read_text().strip())

# %% [markdown]
# | format | for |
# | --- | --- |
# | `json` | programs: all there is, probabilities too, by a schema with a version |
# | `csv` | spreadsheets and data frames: a row an event |
# | `vtt` | the captions of a video player or a web page |
# | `eaf` | ELAN: a tier for each class heard and each class seen |
# | `audacity` | Audacity: a label track |
# | `html` | people: the page above, in one file |

# %% [markdown]
# ## Without training: any words you like
#
# The teachers compare every second with a caption. So they look and listen for whatever you name,
# an open vocabulary. The classes of LLP have VALOR's captions and thresholds; others have the
# default ones, or yours from a YAML file ({doc}`03_pseudo_labels`).
#
# ```bash
# link-avvp parse party.mp4 --classes 'ball, whistle, applause' --out parsed
# link-avvp parse party.mp4 --captions captions.yaml --out parsed
# ```
#
# With $\theta_c$ the threshold of class $c$ and $z_{t,c}$ the logit of segment $t$, an event is
# there where
#
# $$
# \sigma\left( z_{t,c} - \theta_c \right) \ge \tfrac{1}{2} .
# $$

# %%
video = chapter_video()
judge = by_teachers(captions_for(["ball", "whistle", "applause"]), clip, clap)
((name, found),) = parse_videos({video.stem: video}, judge, clip, clap)
print("classes      ", found.parsing.classes)
print("heard        ", found.parsing.audio.shape, found.parsing.audio.dtype)
print("seen         ", found.parsing.visual.shape, found.parsing.visual.dtype)
print("probabilities", found.probabilities.shape, "- segments, modalities, classes")

# %% tags=["nbval-ignore-output"]
print(f"{len(found.events())} events; the highest probability of each class:")
highest = found.probabilities.max(axis=0).T
for label, (heard, seen) in zip(found.parsing.classes, highest, strict=True):
    print(f"  {label:10s}heard {heard:.2f}   seen {seen:.2f}")

# %% [markdown]
# A default threshold is a guess. A class that is found everywhere needs a higher one, a class that
# is never found a lower one. No teacher was ever calibrated: its probability orders the seconds of
# one class, and says no more.
#
# So move the thresholds, with a video in which you know what comes and goes. A start is halfway
# between the lowest and the highest logit in it. Mind what that assumes: it finds each class
# somewhere, whether it is there or not.

# %%
features = encode_clips([next(read_windows(video))], clip, clap)
captions = captions_for(["ball"])
heard_text, seen_text = text_features(clap, clip, captions)
heard = clap.logits(features.sound[0], heard_text)
seen = clip.logits(features.visual[0], seen_text)
moved = replace(
    captions,
    audio_thresholds=(heard.min(axis=0) + heard.max(axis=0)) / 2,
    visual_thresholds=(seen.min(axis=0) + seen.max(axis=0)) / 2,
)
judge = by_teachers(moved, clip, clap)
((name, found),) = parse_videos({video.stem: video}, judge, clip, clap)
print("logits", heard.shape, "and", seen.shape)
print("found somewhere:", sorted({event.label for event in found.events()}))

# %% tags=["nbval-ignore-output"]
Player(found)

# %% [markdown]
# *What the teachers say of the video with thresholds so moved; their probabilities are on demand.
# If the sentence under the imports speaks of random weights, then what you see is noise.*
#
# ## Experiment: are the times right?
#
# Between a file and a time line lie an edit list, a frame rate, a resampler and two encoders. An
# error of a second anywhere would shift every event, and nobody would be told. In the drawn video
# we know when something changes. So, with no caption at all: between which seconds do the
# encoders' features change most? They could point to other seconds, or to none. Whether the
# weights are real does not matter here: what is tried is that each second's features come from
# that second, and not whether they tell a ball from a dog.

# %%
if video != drawn:
    features = encode_clips([next(read_windows(drawn))], clip, clap)
change = {
    modality: 1 - (rows[0, 1:] * rows[0, :-1]).sum(axis=-1)
    for modality, rows in (("audio", features.sound), ("visual", features.visual))
}
known = {"audio": [4, 9], "visual": [2, 7]}
for modality, values in change.items():
    largest = sorted((np.argsort(values)[-2:] + 1).tolist())
    verdict = "as drawn" if largest == known[modality] else f"drawn were {known[modality]}"
    print(f"{modality:7s}the two largest changes: at seconds {largest}, {verdict}")

# %% mystnb={"image": {"alt": "Two lines with two peaks each."}} tags=["nbval-ignore-output"]
scaled = {modality: values / values.max() for modality, values in change.items()}
_ = plots.curves({"": scaled}, "second that begins", "change, of the largest")

# %% [markdown]
# *How much the features of a second differ from those of the second before (one minus the cosine).
# The tone begins at 4 and ends at 9; the ball comes at 2 and is gone at 7.*
#
# ## With a network of your own
#
# What you train on is a folder of videos and a CSV file of weak labels. {doc}`../book/own_data`
# walks through it; in short:
#
# ```bash
# link-avvp extract videos --out features
# link-avvp label features --labels labels.csv --out store
# link-avvp train --data store --out runs/mine
# link-avvp parse party.mp4 --model runs/mine --out parsed
# ```
#
# Here are the same steps in Python, on six videos of two seconds and for two epochs. A network
# cannot learn anything from that; what counts is that it is the same road.

# %%
videos = {f"clip{index}": folder() / f"clip{index}.mp4" for index in range(6)}
for index, path in enumerate(videos.values()):
    draw_video(path, seconds=2, pitch=300 + 60 * index)
rows = ["video,labels,split", "clip0,ball,train", "clip1,,train", "clip2,whistle,train"]
rows += ["clip3,ball;whistle,train", "clip4,ball,val", "clip5,whistle,test"]
labels = folder() / "labels.csv"
labels.write_text("\n".join(rows))
weak = read_labels(labels)
store = extract(videos, folder() / "features", clip, clap)
dataset = label_clips(store, weak, captions_for(weak.classes), clip, clap)
for split, part in dataset.splits().items():
    shapes = f"audio {part.audio.shape}, weak labels {part.weak.shape}"
    print(f"{split:6s}{len(part)} clips, {shapes}")

# %%
network = chapter_network(dataset)
training = chapter_training(dataset, epochs=2, warmup_epochs=1)
run = RunFolder(folder() / "mine", dataset, network, training)
fitted = fit(dataset, network, training, run)
parts = ("tsam", "s_loss", "plsim")
print("parts on:", [part for part in parts if getattr(network, part)])
print("scores:", {split: list(scores) for split, scores in fitted.scores.items()})

# %% [markdown]
# Without an annotation of segments there is one score, `video`: how well the weak labels are
# predicted. It says nothing about times and modalities.

# %%
model, about = load(folder() / "mine")
judge = by_network(model.to(clip.device), about, "runs/mine", clip, clap)
((name, parsed),) = parse_videos({video.stem: video}, judge, clip, clap)
print("classes", parsed.parsing.classes, "- probabilities", parsed.probabilities.shape)
print("provenance:", list(parsed.provenance))

# %% [markdown]
# A network brings its classes, captions and thresholds along, and asks for the encoders with which
# it was trained. `link-avvp share runs/mine --out my-model` makes a folder for others of it, with
# a model card; `link-avvp parse --model OWNER/NAME` takes one from the hub.
#
# ## Long videos, and what is not there
#
# A video is parsed in windows of ten seconds, a new one every five (`--hop`). The last one
# is moved back to end with the video, so that it is as full as the others. Here is a video of 23
# seconds without a sound track. The ball comes back every ten seconds.

# %%
silent = draw_video(folder() / "silent.mp4", seconds=23, sound=False)
judge = by_teachers(captions_for(["ball"]), clip, clap)
((name, parsed),) = parse_videos({"silent": silent}, judge, clip, clap)
windows = list(read_windows(silent, transform=clip.prepare))
print("windows start at", [window.start for window in windows])
print("segments:", len(parsed.parsing.visual), "- absent:", sorted(parsed.absent))
print("audio events:", len(parsed.parsing.events("audio")))

# %% [markdown]
# It is parsed in the modality that it has. The command says so (`silent.mp4: ... no sound`), and
# so do the JSON file and the page. A sound file without a picture is parsed likewise.
#
# ## What goes wrong
#
# One bad file does not end a call. The others are still done, every failure is told with its
# remedy at the end, and the exit code is then 1.

# %%
(folder() / "cut.mp4").write_bytes(drawn.read_bytes()[:60_000])
(folder() / "empty.mp4").touch()
batch = {"cut": folder() / "cut.mp4", "empty": folder() / "empty.mp4", "silent": silent}
batch["missing"] = folder() / "missing.mp4"
told = []
for name, result in parse_videos(batch, judge, clip, clap):
    text = result if isinstance(result, str) else "parsed"
    text = f"{name}: {text.replace(str(folder()), 'videos')}"
    told.append(textwrap.fill(text, 76, subsequent_indent="    "))
print("\n".join(told))

# %% [markdown]
# ## What we learned
#
# - An answer is two lanes a class, and comes as a page, as captions, and in the forms that four
#   kinds of programs read.
# - The teachers alone take any video and any words, without training. How well they then judge
#   was not shown here, and their thresholds are the weak spot.
# - Whether the times are right can be checked without any label: features must change where the
#   video does.
# - The road from a folder of videos to a network of one's own is four commands.
#
# ## Where paper and book differ
#
# - The paper evaluates on clips of ten seconds with published features. Parsing files, windows and
#   their averaging, teachers alone, exports and player are ours.
# - A network trained on LLP has seen only windows that are ten seconds long and full. A shorter
#   video is padded, and its padding is not shown. One trained on short videos of your own has
#   seen their padding, too.
