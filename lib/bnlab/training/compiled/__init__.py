"""The compiled step: LeNet's training on one CPU core, by numba, five to ten times as fast as PyTorch's operations.

Maps are (channels, H, W, lanes), float32: one image of a mini-batch is one lane, so that every inner loop runs over
images and fills the vector unit whatever the layer. Lanes beyond the batch hold zero. `jit` compiles, `tiles` and
`products` multiply, `normalisation`, `activation` and `nlms` are the layers, `step` is one step, `network` makes a
model's own tensors its arrays, `train` and `evaluation` are the doors.
"""
