"""Chapter 09: does Batch Normalization make the loss smoother, and by which measure?"""
