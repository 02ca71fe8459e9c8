"""Training: a small model from nothing, a full fine-tuning, or a LoRA adapter."""
