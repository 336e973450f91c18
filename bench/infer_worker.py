# SPDX-License-Identifier: Apache-2.0
"""Runs VGG-16 or the tutorial's small VGG-11 in one inference engine and reports its times.

A worker for bench/compare_infer: builds the net with He-normal weights, warms up, prints `ready
VERSION`, then for every line `S` on stdin runs for S seconds (three runs at least) and prints the
seconds of each run on one line.
"""
import argparse
import os
import sys
import time

import numpy as np

NETS = {  # convolutions and outputs of each block, input, hidden units, classes
    "vgg16": (((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), (3, 224), 4096, 1000),
    "small": (((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)), (1, 224), 4096, 10),
}


def layers_of(net):
    """("conv", C, K) | ("pool",) | ("linear", C, K, relu), in order."""
    blocks, (channels, side), hidden, classes = NETS[net]
    layers = []
    for convs, out in blocks:
        for _ in range(convs):
            layers.append(("conv", channels, out))
            channels = out
        layers.append(("pool",))
        side //= 2
    units = channels * side * side
    layers += [("linear", units, hidden, True), ("linear", hidden, hidden, True),
               ("linear", hidden, classes, False)]
    return layers


def he(rng, *shape):
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape, dtype=np.float32) * np.float32((2 / fan_in) ** 0.5))


def write_onnx(net, batch, path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    _, (channels, side), _, classes = NETS[net]
    rng = np.random.default_rng(0)
    nodes, weights, x, flat = [], [], "input", False
    for i, layer in enumerate(layers_of(net)):
        y = f"y{i}"
        if layer[0] == "pool":
            nodes.append(helper.make_node("MaxPool", [x], [y], kernel_shape=[2, 2], strides=[2, 2]))
            x = y
            continue
        c, k = layer[1:3]
        shape = (k, c, 3, 3) if layer[0] == "conv" else (k, c)
        weights += [numpy_helper.from_array(he(rng, *shape), f"w{i}"),
                    numpy_helper.from_array(np.full(k, 0.01, np.float32), f"b{i}")]
        if layer[0] == "conv":
            nodes.append(helper.make_node("Conv", [x, f"w{i}", f"b{i}"], [y], kernel_shape=[3, 3],
                                          pads=[1, 1, 1, 1]))
        else:
            if not flat:
                nodes.append(helper.make_node("Flatten", [x], ["flat"]))
                x, flat = "flat", True
            nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [y], transB=1))
        x = y
        if layer[0] == "conv" or layer[3]:
            nodes.append(helper.make_node("Relu", [x], [f"r{i}"]))
            x = f"r{i}"
    graph = helper.make_graph(
        nodes, net,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, channels, side, side])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [batch, classes])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def write_ncnn(net, folder):
    """Its text of layers and its file of weights, each behind a zero word that says fp32."""
    rng = np.random.default_rng(0)
    lines, blob = ["Input input 0 1 input"], "input"
    with open(os.path.join(folder, "net.bin"), "wb") as f:
        for i, layer in enumerate(layers_of(net)):
            y = f"y{i}"
            if layer[0] == "pool":
                lines.append(f"Pooling p{i} 1 1 {blob} {y} 0=0 1=2 2=2")
            else:
                c, k = layer[1:3]
                w = he(rng, k, c, 3, 3) if layer[0] == "conv" else he(rng, k, c)
                f.write(np.zeros(1, np.uint32).tobytes() + w.tobytes())
                f.write(np.full(k, 0.01, np.float32).tobytes())
                if layer[0] == "conv":
                    lines.append(f"Convolution c{i} 1 1 {blob} {y} 0={k} 1=3 4=1 5=1 6={w.size} "
                                 "9=1")
                else:
                    relu = " 9=1" if layer[3] else ""
                    lines.append(f"InnerProduct f{i} 1 1 {blob} {y} 0={k} 1=1 2={w.size}{relu}")
            blob = y
    with open(os.path.join(folder, "net.param"), "w") as f:
        f.write("7767517\n%d %d\n%s\n" % (len(lines), len(lines), "\n".join(lines)))
    return blob


def onnxruntime_engine(a, x):
    import onnxruntime
    path = os.path.join(a.folder, "ort.onnx")
    write_onnx(a.net, a.batch, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnxruntime.__version__, lambda: session.run(None, {"input": x})


def openvino_engine(a, x):
    import openvino
    path = os.path.join(a.folder, f"{a.engine}.onnx")
    write_onnx(a.net, a.batch, path)
    core = openvino.Core()
    compiled = core.compile_model(path, "CPU", {
        "INFERENCE_PRECISION_HINT": "bf16" if a.engine.endswith("bf16") else "f32",
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": a.threads})
    request = compiled.create_infer_request()
    return openvino.__version__.split("-")[0], lambda: request.infer({0: x})


def ncnn_engine(a, x):
    import ncnn
    out = write_ncnn(a.net, a.folder)
    net = ncnn.Net()
    net.opt.num_threads = a.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(os.path.join(a.folder, "net.param"))
    net.load_model(os.path.join(a.folder, "net.bin"))

    def run():
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(x[0]))
        return extractor.extract(out)

    status, logits = run()
    if status != 0 or np.array(logits).shape != (NETS[a.net][3],):
        raise SystemExit("infer_worker: ncnn did not run the net")
    return ncnn.__version__, run


ENGINES = {"onnxruntime-fp32": onnxruntime_engine, "openvino-fp32": openvino_engine,
           "openvino-bf16": openvino_engine, "ncnn-fp32": ncnn_engine}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--engine", choices=ENGINES, required=True)
    p.add_argument("--net", choices=NETS, required=True)
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--folder", required=True, help="where model files may be written")
    a = p.parse_args()
    channels, side = NETS[a.net][1]
    x = np.random.default_rng(1).random((a.batch, channels, side, side), dtype=np.float32)
    version, run = ENGINES[a.engine](a, x)
    for _ in range(2):
        run()
    print("ready", version, flush=True)
    for line in sys.stdin:
        begin, times = time.perf_counter(), []
        while len(times) < 3 or time.perf_counter() - begin < float(line):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(*(f"{t:.6f}" for t in times), flush=True)


if __name__ == "__main__":
    main()
