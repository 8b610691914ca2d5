"""The science: task, model, training and analyses. torch, numpy and safetensors only."""
