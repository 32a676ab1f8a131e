"""A Hugging Face Trainer script as its users write them; it knows nothing of Loadstar."""

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


class Parity(torch.utils.data.Dataset):
    """Eight tokens each; the class is whether the first is among the upper half of the vocabulary."""

    def __init__(self, count: int, seed: int) -> None:
        self.tokens = torch.randint(1, 32, (count, 8), generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        tokens = self.tokens[row]
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "labels": (tokens[0] >= 16).long(),
        }


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((np.argmax(prediction.predictions, axis=1) == prediction.label_ids).mean())}


config = BertConfig(
    vocab_size=32,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=8,
)
arguments = TrainingArguments(
    output_dir="/tmp/out",
    num_train_epochs=4,
    per_device_train_batch_size=32,
    learning_rate=3e-3,
    logging_steps=10,
    save_strategy="no",
    report_to=["kubeflow"],
    use_cpu=not torch.cuda.is_available(),
    ddp_backend="nccl" if torch.cuda.is_available() else "gloo",
)
trainer = Trainer(
    BertForSequenceClassification(config),
    arguments,
    train_dataset=Parity(1024, 0),
    eval_dataset=Parity(256, 1),
    compute_metrics=accuracy,
)
trainer.train()
metrics = trainer.evaluate()
if trainer.is_world_process_zero():
    print({"accuracy": metrics["eval_accuracy"], "loss": metrics["eval_loss"]})
    print(f"accuracy={metrics['eval_accuracy']}")
