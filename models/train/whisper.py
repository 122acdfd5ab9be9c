"""The Whisper architecture in PyTorch, written down to be trained small; Hugging Face's library reads what it writes.

The names of its weights are Hugging Face's. Beside Whisper's own it takes windows of any length up to 30 seconds: the
encoder's positions are sinusoids, the same in every window.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from models import ModelError
from models.train.pieces import Pieces

MELS = 80
POSITIONS = 1500  # of the encoder: 30 seconds, which faster-whisper always gives
PLACES = 448  # of the decoder, as Whisper has them; half of it may be the prompt


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """The sizes of a network. Raises ModelError for sizes that do not fit together."""

    width: int = 128
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 2
    vocabulary: int = 2_000

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.encoder_layers, self.decoder_layers, self.vocabulary) < 1:
            raise ModelError("a network has at least one layer, head and token")
        if self.width % (2 * self.heads):
            raise ModelError(f"a width of {self.width} cannot be shared among {self.heads} heads")


class Attention(nn.Module):
    """Each of [batch, length, width] looks at all of `seen`, or where `causal` at what stands before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, seen: Tensor, causal: bool = False) -> Tensor:
        q, k, v = (self._apart(part) for part in (self.q_proj(x), self.k_proj(seen), self.v_proj(seen)))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(x.shape))
        return out

    def _apart(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """Attention to itself, in the decoder also to what was heard, then a feed-forward; each adds to what comes in."""

    def __init__(self, config: WhisperConfig, hears: bool) -> None:
        super().__init__()
        width = config.width
        self.self_attn, self.self_attn_layer_norm = Attention(width, config.heads), nn.LayerNorm(width)
        if hears:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(width, config.heads), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, heard: Tensor | None = None) -> Tensor:
        inner = self.self_attn_layer_norm(x)
        x = x + self.self_attn(inner, inner, causal=heard is not None)
        if heard is not None:
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), heard)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class Encoder(nn.Module):
    """Log-mel features [batch, MELS, 2 n] to [batch, n, width]."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(POSITIONS, config.width, _weight=sinusoids(POSITIONS, config.width))
        self.embed_positions.weight.requires_grad_(False)
        self.layers = nn.ModuleList(Layer(config, hears=False) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, features: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(features)))).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.layer_norm(x)
        return out


class Decoder(nn.Module):
    """Tokens [batch, length] and what was heard to [batch, length, width], from which the next tokens are guessed."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.embed_positions = nn.Embedding(PLACES, config.width)
        self.layers = nn.ModuleList(Layer(config, hears=True) for _ in range(config.decoder_layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor, heard: Tensor) -> Tensor:
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, heard)
        out: Tensor = self.layer_norm(x)
        return out


class Whisper(nn.Module):
    """Features and the tokens so far to scores of the next ones [batch, length, vocabulary]."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        for name, p in self.named_parameters():
            if "embed" in name:
                if p.requires_grad:
                    nn.init.normal_(p, std=0.02)
            elif p.dim() == 2:
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
            elif p.dim() == 3:
                nn.init.kaiming_normal_(p)  # else what is heard is lost beside the positions for many steps
            if name.endswith(("out_proj.weight", "fc2.weight")):
                nn.init.zeros_(p)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        return self.scores(self.decoder(tokens, self.encoder(features)))

    def scores(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.decoder.embed_tokens.weight)


def sinusoids(length: int, width: int) -> Tensor:
    """The positions of Whisper's encoder [length, width]."""
    half = torch.arange(width // 2) * (-math.log(10_000) / (width // 2 - 1))
    angle = torch.arange(length)[:, None] * torch.exp(half)[None]
    return torch.cat((angle.sin(), angle.cos()), dim=1)


def write_folder(folder: Path, model: Whisper, pieces: Pieces) -> None:
    """The model as a folder that Hugging Face's library and CTranslate2's converter read. Raises ModelError."""
    weights = {f"model.{name}": p.detach().float().contiguous() for name, p in model.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        _write(folder / "config.json", _config(model.config, pieces))
        _write(folder / "generation_config.json", _generation(pieces))
        _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
        _write(folder / "preprocessor_config.json", {"feature_size": MELS, "hop_length": 160, "n_fft": 400})
        _write(folder / "tokenizer.json", pieces.as_json())
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be written ({error})") from error


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def _config(config: WhisperConfig, pieces: Pieces) -> dict[str, object]:
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "d_model": config.width,
        "num_mel_bins": MELS,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.heads,
        "decoder_attention_heads": config.heads,
        "encoder_ffn_dim": 4 * config.width,
        "decoder_ffn_dim": 4 * config.width,
        "max_source_positions": POSITIONS,
        "max_target_positions": PLACES,
        "vocab_size": config.vocabulary,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
        "bos_token_id": pieces.end,
        "eos_token_id": pieces.end,
        "pad_token_id": pieces.end,
        "decoder_start_token_id": pieces.start,
        "torch_dtype": "float32",
    }


def _generation(pieces: Pieces) -> dict[str, object]:
    """Nothing is held back at the start: where nothing is said, the end may come at once."""
    return {
        "suppress_tokens": [],
        "begin_suppress_tokens": [pieces.space],
        "alignment_heads": [[0, 0]],
        "decoder_start_token_id": pieces.start,
        "eos_token_id": pieces.end,
        "pad_token_id": pieces.end,
        "bos_token_id": pieces.end,
    }
