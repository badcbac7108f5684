"""Every sentence of the module examination in English and Chinese."""

from __future__ import annotations

from yolograft.doctor.fix_wording import MODULE_FIXES
from yolograft.doctor.machine_wording import MACHINE_FIXES, MACHINE_NAMES, MACHINE_REASONS

Pair = tuple[str, str]

STATUSES: dict[str, Pair] = {
    "pass": ("pass", "通过"),
    "warn": ("warn", "注意"),
    "fail": ("FAIL", "失败"),
    "skipped": ("skipped", "跳过"),
}

MODULE_NAMES: dict[str, Pair] = {
    "builds": ("builds", "能构建"),
    "runs": ("runs", "能前向"),
    "options": ("unknown option refused", "拒绝未知选项"),
    "shape": ("declared shape = real shape", "声明形状与实际一致"),
    "large": ("maps as large as in a run", "实际训练大小的特征图"),
    "narrow": ("maps of few channels", "通道数很少的特征图"),
    "batch_of_one": ("trains on a batch of one", "批量为 1 时能训练"),
    "parameters": ("parameters independent of map size", "参数不随特征图尺寸变化"),
    "registered": ("optimiser sees every parameter", "优化器看得到全部参数"),
    "finite": ("finite output and gradients", "输出与梯度有限"),
    "gradient": ("gradient reaches every parameter", "梯度到达每个参数"),
    "derivative": ("gradient = slope", "梯度等于实际斜率"),
    "untouched": ("input not written into", "不改写输入"),
    "batch": ("images independent in eval", "评估时各图互不影响"),
    "position": ("output depends on position", "输出随位置变化"),
    "deterministic": ("deterministic in eval", "评估结果可重复"),
    "scale": ("output scale at the start", "初始输出幅度"),
    "state_dict": ("state dict round trip", "权重存取后一致"),
    "nothing_left": ("leaves nothing behind", "前向不留副作用"),
    "bf16": ("bf16 autocast", "bf16 自动混合精度"),
    "fp16": ("fp16 autocast", "fp16 自动混合精度"),
    "device": ("other devices", "换设备"),
    "channels_last": ("channels_last layout", "channels_last 内存格式"),
    "compile": ("torch.compile", "torch.compile"),
    "onnx": ("ONNX at unseen sizes", "ONNX 换尺寸仍一致"),
}

MODULE_REASONS: dict[str, Pair] = {
    "fine": ("as it should be", "正常"),
    "raises": ("raises {error}", "抛出 {error}"),
    "written_over": (
        "backward fails: forward writes over a tensor that backward still needs",
        "反向传播失败：forward 改写了反向还要用的张量",
    ),
    "stopped": ("not looked at: '{check}' failed", "未检查：“{check}”未通过"),
    # Shapes, options, parameters
    "built": ("{call}", "{call}"),
    "runs": ("{map} becomes {result}", "{map} 变为 {result}"),
    "several_inputs": (
        "forward wants more than one map, or tokens instead of a map: {error}",
        "forward 需要的不止一个特征图，或要的是 token 序列：{error}",
    ),
    "does_not_run": ("{map} raises {error}", "输入 {map} 时抛出 {error}"),
    "no_tensor": ("forward returns {kind}, not a tensor", "forward 返回 {kind}，不是张量"),
    "option_refused": ("an unknown option is an error", "未知选项会报错"),
    "option_swallowed": (
        "**kwargs swallows any name: a misspelt option of {name} is ignored without a word",
        "**kwargs 吞掉任何名字：{name} 的选项拼错时没有任何提示",
    ),
    "option_unread": (
        "__init__ never reads {names}: whatever is given there, nothing changes",
        "__init__ 从未读取 {names}：写什么都不起作用",
    ),
    "narrow": ("{channels} channels pass", "{channels} 个通道可以通过"),
    "narrow_fails": ("a map of {channels} channels raises {error}", "{channels} 个通道的特征图抛出 {error}"),
    "shape_kept": ("as declared on {sizes}", "在 {sizes} 上与声明一致"),
    "shape_assumed": (
        "kept on {sizes}; out_channels is not declared, {channels} assumed",
        "在 {sizes} 上保持不变；未声明 out_channels，按 {channels} 处理",
    ),
    "size_fails": ("a map of {map} raises {error}", "尺寸 {map} 的特征图抛出 {error}"),
    "large_maps": ("as declared on {sizes}", "在 {sizes} 上与声明一致"),
    "no_memory": ("{size} needs more memory than is free here", "{size} 所需内存超过本机可用内存"),
    "wrong_channels": (
        "{map} becomes {result}: {real} channels, {declared} declared",
        "{map} 变为 {result}：实际 {real} 个通道，声明为 {declared}",
    ),
    "wrong_shape": ("{map} becomes {result}, {expected} declared", "{map} 变为 {result}，声明为 {expected}"),
    "norm_of_one_value": (
        "batch norm over one value per channel: {error}",
        "批归一化每通道只有一个值：{error}",
    ),
    "one_image": ("one image trains", "单张图可以训练"),
    "made_by_map": (
        "{names} only exist, or get their shape, when the first map ({size}) comes",
        "{names} 在第一个特征图（{size}）到来时才创建或定形",
    ),
    "counted": ("{count} parameters, fixed at construction", "{count} 个参数，构造时即确定"),
    "hidden": (
        "parameters() does not find {names}: never trained, moved or stored",
        "parameters() 找不到 {names}：不会被训练、搬到 GPU 或保存",
    ),
    "plain_tensor": (
        "{names} is a plain tensor: .to(device) leaves it behind, checkpoints lose it",
        "{names} 是普通张量：.to(device) 不会带上它，权重文件也会丢失它",
    ),
    "all_registered": ("parameter tensors: {count}, none hidden", "{count} 个参数张量，无遗漏"),
    # Gradients
    "all_reached": ("parameter tensors: {count}, and the input", "{count} 个参数张量和输入都有梯度"),
    "dead": (
        "{names} never change the output: unused in forward, or cancelled there (a softmax over one value)",
        "{names} 不影响输出：forward 中没有用到，或被抵消（如对单个值做 softmax）",
    ),
    "cut_off": (
        "{names} change the output but get no gradient: taken through .data, .detach() or no_grad",
        "{names} 影响输出却没有梯度：经由 .data、.detach() 或 no_grad 取值",
    ),
    "input_cut": (
        "no gradient reaches the input: the layers before cannot learn",
        "输入没有梯度：前面的层学不到东西",
    ),
    "slopes_agree": (
        "autograd and finite differences agree (tensors: {count})",
        "{count} 个张量的自动求导与差分一致",
    ),
    "not_the_slope": (
        "for {name} autograd says {autograd}, finite differences {real}: part of its way is cut "
        "(.data, .detach(), no_grad)",
        "{name} 的自动求导为 {autograd}，差分为 {real}：有一段梯度被截断（.data、.detach()、no_grad）",
    ),
    "frozen": (
        "all {count} parameter tensors are frozen (requires_grad=False): nothing in it is trained",
        "{count} 个参数张量全部冻结（requires_grad=False）：模块不会被训练",
    ),
    "substitute": (
        "{names} have a gradient though the output does not move with them: a step function with a "
        "substitute gradient (straight-through)",
        "输出不随 {names} 变化，却有梯度：阶跃函数配了替代梯度（straight-through）",
    ),
    "not_in_double": ("it does not run in float64: {error}", "不能以 float64 运行：{error}"),
    "not_repeatable": (
        "two evaluations differ, so there is no slope to measure",
        "两次评估结果不同，无法测量斜率",
    ),
    "not_smooth": ("the output is too rough for finite differences", "输出不够平滑，差分不可靠"),
    # Values
    "finite": (
        "on noise, zeros, ones and a single pixel",
        "噪声、全零、全一和单像素输入均正常",
    ),
    "not_finite_noise": ("noise {map} gives {what} in {where}", "噪声输入 {map} 时 {where} 出现 {what}"),
    "not_finite_zeros": (
        "a map of zeros {map} gives {what} in {where}: 0/0, or the root of 0",
        "全零输入 {map} 时 {where} 出现 {what}：0/0 或对 0 开方",
    ),
    "not_finite_ones": (
        "a constant map {map} gives {what} in {where}: its variance is 0",
        "常数输入 {map} 时 {where} 出现 {what}：方差为 0",
    ),
    "not_finite_pixel": (
        "a map of one pixel {map} gives {what} in {where}: a division by H*W-1, or by a variance of 0",
        "单像素输入 {map} 时 {where} 出现 {what}：除以了 H*W-1 或为 0 的方差",
    ),
    "not_finite_gamma": (
        "with the scales of its norms at zero, as pruning leaves them, the output is {what}: 0/0",
        "归一化的缩放系数全为零时（剪枝后常见）输出出现 {what}：0/0",
    ),
    "input_kept": ("the input is the same afterwards", "前向之后输入不变"),
    "writes_input": (
        "forward writes into its input, which other layers still read",
        "forward 改写了输入，而别的层还要读它",
    ),
    "images_apart": ("each image's output is its own", "每张图的输出只取决于自己"),
    "softmax_over_batch": (
        "softmax without dim= runs over dimension 0, the batch: "
        "an output changes by {change} with its batch mates",
        "softmax 没写 dim=，作用在第 0 维即批维上：同批图片不同，输出改变 {change}",
    ),
    "batch_mixed": (
        "an output changes by {change} with its batch mates: softmax, mean or view over dimension 0",
        "同批图片不同，输出改变 {change}：softmax、mean 或 view 用到了第 0 维",
    ),
    "one_image_fails": ("one image alone fails: {error}", "单独一张图失败：{error}"),
    "varies": ("the output varies over the map", "输出在图上有变化"),
    "flat": (
        "every channel has one value at all positions: where things are is lost",
        "每个通道在所有位置取同一个值：位置信息全部丢失",
    ),
    "no_map": ("the output {shape} is no map", "输出 {shape} 不是特征图"),
    "repeated": ("two evaluations are equal bit for bit", "两次评估逐位相同"),
    "not_repeated": (
        "two evaluations differ by {change}: random numbers in eval mode",
        "两次评估相差 {change}：评估时仍在用随机数",
    ),
    "sized": (
        "std of output over input: {training} in training, {evaluation} in evaluation",
        "输出与输入标准差之比：训练 {training}，评估 {evaluation}",
    ),
    "damped": (
        "std of output over input: {training} in training, {evaluation} in evaluation; onto trained weights "
        "it goes with init=identity, the default there",
        "输出与输入标准差之比：训练 {training}，评估 {evaluation}；"
        "嫁接到训练过的权重上请用 init=identity（默认即是）",
    ),
    "only_scales": (
        "at the start the output is {factor} x the input and nothing else, within {rest} %: "
        "nothing is chosen yet",
        "初始时输出就是输入的 {factor} 倍（误差 {rest} %以内）：还没有任何取舍",
    ),
    "loud": (
        "output std is {training} x the input in training, {evaluation} x in evaluation (at most {most})",
        "输出标准差是输入的 {training} 倍（训练）、{evaluation} 倍（评估），上限 {most}",
    ),
    "quiet": (
        "output std is {training} x the input in training, {evaluation} x in evaluation (at least {least}): "
        "trained features fade",
        "输出标准差是输入的 {training} 倍（训练）、{evaluation} 倍（评估），下限 {least}：已学到的特征被压没",
    ),
    "state_kept": ("tensors: {count}; equal output in a fresh instance", "{count} 个张量；新实例输出相同"),
    "state_lost": (
        "a fresh instance with the same state dict differs by {change}: some tensor is not in it",
        "载入同一份权重的新实例输出相差 {change}：有张量没有存进去",
    ),
    "state_refused": ("a fresh instance refuses the state dict: {error}", "新实例载入权重失败：{error}"),
    # Effects
    "nothing_left": (
        "modes, buffers and the random generator stay; a copy can be made",
        "模式、缓冲区和随机数发生器不变，且可以复制",
    ),
    "copy_fails": (
        "copy.deepcopy fails, and training begins with a copy: {error}",
        "copy.deepcopy 失败，而训练一开始就要复制模型：{error}",
    ),
    "copy_later": (
        "after a training forward copy.deepcopy fails: {error}",
        "训练前向之后 copy.deepcopy 失败：{error}",
    ),
    "graph_kept": (
        "{names} keeps the graph of the last training step in memory, and no copy can be made",
        "{names} 把上一步训练的计算图留在内存里，模块也无法复制",
    ),
    "loss_no_scalar": (
        "supervise returns {result}; a tensor of one element is expected",
        "supervise 返回 {result}，应为单元素张量",
    ),
    "mode_changed": (
        "forward calls train() or eval(): {names} has another mode afterwards",
        "forward 调用了 train() 或 eval()：之后 {names} 的模式变了",
    ),
    "buffers_change": (
        "evaluation writes into {names}: what is found in an image depends on the images before",
        "评估时改写了 {names}：一张图的结果取决于之前的图",
    ),
    "reseeds": (
        "forward seeds torch's generator (torch.manual_seed): every later draw of the run repeats",
        "forward 重设了 torch 的随机种子（torch.manual_seed）：之后的随机数全部重复",
    ),
    # Precision and layout
    "half_near": ("{change} from fp32", "与 fp32 相差 {change}"),
    "half_far": ("{change} from fp32 (at most {most})", "与 fp32 相差 {change}，上限 {most}"),
    "half_not_finite": (
        "the output is inf or nan: a value passes the range of the format (fp16: 65504)",
        "输出出现 inf 或 nan：有数值超出格式范围（fp16 最大 65504）",
    ),
    "half_gradient": ("a gradient is inf or nan", "梯度出现 inf 或 nan"),
    "no_cpu_kernel": (
        "this CPU build of torch has no kernel for it: {error}",
        "本机 torch 的 CPU 版缺少对应算子：{error}",
    ),
    "device_kept": ("all tensors on {place}", "全部张量都在 {place} 上"),
    "devices_mixed": (
        "on {place} it mixes devices ({line}): a tensor made in forward, or kept as an attribute, "
        "stays on the CPU",
        "在 {place} 上混用了设备（{line}）：forward 中新建的或存为属性的张量留在 CPU",
    ),
    "device_open": ("cannot be told on {place}: {error}", "在 {place} 上无法判断：{error}"),
    "leaves_device": ("the output is not on {place}", "输出不在 {place} 上"),
    "layout_same": ("same values", "数值相同"),
    "layout_changes": ("the values change by {change}", "数值改变 {change}"),
    "contiguous_copy": (
        "it only reads contiguous maps ({place}): it gets a contiguous copy in training, which costs time",
        "只能读内存连续的特征图（{place}）：训练时会给它一份连续的副本，要花些时间",
    ),
    "layout_fails": (
        "it fails in channels_last, in which a run computes: {error}",
        "在训练所用的 channels_last 格式下失败：{error}",
    ),
    # Compilers and exporters
    "compiled_same": ("same values at three sizes (backend {backend})", "三种尺寸数值一致（后端 {backend}）"),
    "compiled_differs": (
        "the values change by {change} at {size} (backend {backend})",
        "尺寸 {size} 上数值改变 {change}（后端 {backend}）",
    ),
    "compile_fails": ("backend {backend}: {error}", "后端 {backend}：{error}"),
    "no_compiler": ("no C++ compiler here: {error}", "本机没有 C++ 编译器：{error}"),
    "too_slow": ("not finished after {seconds} s", "{seconds} 秒内未完成"),
    "no_extra": ("not installed: {packages}", "未安装：{packages}"),
    "onnx_same": ("same values at {sizes}", "尺寸 {sizes} 上数值一致"),
    "onnx_differs": ("the values change by {change} at {size}", "尺寸 {size} 上数值改变 {change}"),
    "onnx_shape": (
        "at {size} the file gives {result}, torch {expected}",
        "尺寸 {size} 上文件输出 {result}，torch 输出 {expected}",
    ),
    "onnx_fails": ("the file fails at {size}: {error}", "导出文件在尺寸 {size} 上失败：{error}"),
    "export_fails": ("the export fails: {error}", "导出失败：{error}"),
    "half_open_pool": (
        "{names} has no ONNX form that fits all sizes",
        "{names} 没有适用于所有尺寸的 ONNX 形式",
    ),
}

NAMES: dict[str, Pair] = MODULE_NAMES | MACHINE_NAMES
REASONS: dict[str, Pair] = MODULE_REASONS | MACHINE_REASONS
FIXES: dict[str, Pair] = MODULE_FIXES | MACHINE_FIXES
