"""The model card: what the hub, and whoever finds a shared model, reads first.

Names of classes, data and encoders come from their users. Here they stand as code, within a line,
where neither Markdown nor HTML applies.
"""

import re
from typing import Any

from link.about import About
from link.dataset import SPLITS
from link.errors import LinkError
from link.metrics import SCORES, VIDEO_SCORE
from link.model import LinkConfig

_LICENCE = "# The licence of the weights is their author's to choose. Name it here: license: ..."
# The last is that of data in which nobody annotated segments.
_SHOWN = (*SCORES, VIDEO_SCORE)
_PARTS = {"tsam": "TSAM", "s_loss": "S-LOSS", "plsim": "PLSIM"}
_LIMITS = """\
- It knows the classes above; any other event passes unnoticed.
- It tells whole seconds, no finer.
- In training, nobody but two teachers, one that hears and one that sees, told it when an event
  begins and ends and whether it is heard or seen. Their errors and biases are in it.
- The scores hold for videos like those it was trained on. Measure it on your own before you rely
  on it."""
_CITING = """\
The method is that of the paper below. This network was made by an independent implementation,
whose authors are not the paper's.

```bibtex
@misc{wang2024link,
  title = {{LINK}: Adaptive Modality Interaction for Audio-Visual Video Parsing},
  author = {Wang, Langyu and Zhu, Bingke and Chen, Yingying and Wang, Jinqiao},
  year = {2024},
  note = {arXiv:2412.20872},
}
```"""


def model_card(config: LinkConfig, about: About) -> str:
    """The card of a network: YAML that the hub reads, then Markdown that people read.

    Raises LinkError where PyYAML is not installed (the extra `cli`).
    """
    try:
        import yaml
    except ImportError:
        raise LinkError(
            "a model card needs PyYAML: pip install -e '.[cli]' in the project's folder"
        ) from None
    head = yaml.safe_dump(_metadata(about), sort_keys=False, allow_unicode=True)
    sections = {
        "Classes": ", ".join(map(_code, about.classes)),
        "Use": _use(config, about),
        "Training": _training(about),
        "Scores": _scores(about),
        "Limits": _LIMITS,
        "Citing": _CITING,
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return (
        f"---\n{_LICENCE}\n{head}---\n\n# LINK for audio-visual video parsing\n\n"
        f"{_summary(config, about)}\n\n{body}\n"
    )


def _metadata(about: About) -> dict[str, Any]:
    """What the hub searches and shows, in its own terms."""
    task = {"type": "video-classification", "name": "audio-visual video parsing"}
    name = _line(about.data["name"])
    results = [
        {
            "task": {**task},  # YAML would refer to the first one
            "dataset": {"type": name, "name": name + _mark(about), "split": split},
            "metrics": [
                {"type": "f1", "name": f"{score}{_mark(about)}", "value": round(value, 2)}
                for score, value in _known(about.scores[split]).items()
            ],
        }
        for split in _splits(about)
    ]
    tags = ["audio-visual-video-parsing", "weakly-supervised", "video", "audio"]
    metadata = {
        "library_name": "link-avvp",
        "pipeline_tag": "video-classification",
        "tags": [*tags, "simulated"] if about.data["simulated"] else tags,
    }
    return (
        {**metadata, "model-index": [{"name": "LINK", "results": results}]}
        if results
        else metadata
    )


def _summary(config: LinkConfig, about: About) -> str:
    parts = [title for switch, title in _PARTS.items() if getattr(config, switch)]
    made = f"with {', '.join(parts)}" if parts else f"with none of {', '.join(_PARTS.values())}"
    text = (
        f"Given a video, this network says for every second which of {config.classes} kinds of "
        "event are heard, which are seen and which are both. It learned that from the names of "
        "the events somewhere in each training video, in the way of "
        f"[LINK](https://arxiv.org/abs/2412.20872), {made}."
    )
    if about.data["simulated"]:
        text += (
            "\n\n**Its training data were simulated: no video stands behind it, and none of its "
            "numbers is a result on real videos.**"
        )
    return text


def _use(config: LinkConfig, about: About) -> str:
    widths = {"audio": config.audio_dim, "visual": config.visual_dim}
    if config.motion_dim is not None:
        widths["motion"] = config.motion_dim
    inputs = {name: (config.segments, width) for name, width in widths.items()}
    arguments = [*widths]
    if config.plsim:
        priors = ("audio_prior", "visual_prior")
        inputs |= dict.fromkeys(priors, (config.segments, config.classes))
        arguments += [f"{name}={name}" for name in priors]
    shapes = ", ".join(f"`{name}` (B, {t}, {width})" for name, (t, width) in inputs.items())
    made = ""
    if about.encoders is not None:
        audio, visual = (_code(about.encoders[name]) for name in ("audio", "visual"))
        made = f" Audio features are those of {audio}, visual ones of {visual}."
    if config.plsim:
        made += " The priors are the teachers' pseudo-labels, made without any label."
    if about.captions is not None:
        made += " The teachers' captions and thresholds are in `config.json`."
    obstacle = about.why_no_videos(config)
    command = (
        f"It cannot parse a video: {obstacle}."
        if obstacle
        else "A video, through the encoders and the network:\n\n```\n"
        "link-avvp parse VIDEO --model owner/name --out parsed\n```"
    )
    return (
        "With the package `link-avvp`, and this model's name or folder for `owner/name`:\n\n"
        "```python\n"
        "from link.model import LINK, decide\n"
        'network = LINK.from_pretrained("owner/name")\n'
        f"heard, seen = decide(network({', '.join(arguments)}))\n"
        "```\n\n"
        f"Of B videos of {config.segments} seconds it reads {shapes}, float32; `heard` and `seen` "
        f"are boolean, (B, {config.segments}, {config.classes}).{made}\n\n{command}"
    )


def _training(about: About) -> str:
    videos = ", ".join(f"{_code(name)} {count}" for name, count in about.data["videos"].items())
    settings = ", ".join(_code(f"{name}={value}") for name, value in about.training.items())
    return (
        f"- Data: {_code(about.data['name'])}{_mark(about)}, fingerprint "
        f"{_code(about.data['fingerprint'])}\n"
        f"- Videos{_mark(about)}: {videos or 'not known'}\n"
        f"- Settings: {settings or 'not known'}"
    )


def _scores(about: About) -> str:
    splits = _splits(about)
    if not splits:
        return "None are known."
    rows = [
        ["score", *(f"{split}{_mark(about)}" for split in splits)],
        ["---"] * (len(splits) + 1),
    ]
    for score in _SHOWN:
        found = [about.scores[split].get(score) for split in splits]
        if any(value is not None for value in found):
            rows.append([score, *("" if value is None else f"{value:.1f}" for value in found)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        "F-scores in percent, as audio-visual video parsing reports them. The split `val` chose "
        f"the epoch.\n\n{table}"
    )


def _splits(about: About) -> list[str]:
    return [split for split in SPLITS if _known(about.scores.get(split, {}))]


def _known(scores: dict[str, float]) -> dict[str, float]:
    return {score: scores[score] for score in _SHOWN if score in scores}


def _mark(about: About) -> str:
    return " (simulated)" if about.data["simulated"] else ""


def _code(text: str) -> str:
    """As code within a line: its fence is longer than any run of backticks in it."""
    text = _line(text)
    if not text or "`" in text:
        text = f" {text} "
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{text}{fence}"


def _line(text: str) -> str:
    """On one line, and without what UTF-8 cannot hold."""
    return " ".join(text.split()).encode(errors="replace").decode()
