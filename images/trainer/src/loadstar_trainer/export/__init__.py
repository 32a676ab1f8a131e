"""The trained model as files that other programs read, in one folder that is replaced as a whole:

<export.path>/model/   model.json               architecture, what goes in and comes out, classes, preprocessing
                       model.safetensors        weights
                       model.pt2                torch.export's program, any batch size      (torchExport)
                       model.onnx               any batch size                              (onnx)
                       model.int8.safetensors   weights of linear layers as 8-bit integers  (quantize: int8)
                       manifest.json            SHA-256 of each other file
"""
