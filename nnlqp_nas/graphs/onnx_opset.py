"""The version of ONNX's operators that graphs are kept and written in."""

OPSET = 20
IR_VERSION = 10
