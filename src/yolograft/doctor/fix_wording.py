"""What to do about what the module examination finds, in English and Chinese."""

from __future__ import annotations

Pair = tuple[str, str]

MODULE_FIXES: dict[str, Pair] = {
    "written_over": ("y = y + z, not y += z or y[...] = z", "写 y = y + z，不写 y += z 或 y[...] = z"),
    "devices_mixed": (
        "torch.zeros(..., device=x.device); register_buffer for attributes",
        "torch.zeros(..., device=x.device)；属性用 register_buffer",
    ),
    "leaves_device": ("make new tensors with device=x.device", "新建张量时写 device=x.device"),
    "several_inputs": ("forward(self, x) with x of [B, C, H, W]", "写成 forward(self, x)，x 为 [B, C, H, W]"),
    "no_tensor": ("end forward with `return x`", "forward 末尾写 `return x`"),
    "option_swallowed": (
        "name the options: def __init__(self, in_channels, *, k=7)",
        "写明选项：def __init__(self, in_channels, *, k=7)",
    ),
    "size_fails": ("any height and width: pad, mean() or interpolate", "支持任意高宽：补边、mean() 或插值"),
    "option_unread": ("use them, or remove them", "使用它们，或删除"),
    "narrow_fails": ("max(8, channels // reduction)", "写成 max(8, channels // reduction)"),
    "only_scales": (
        "longer training before it is judged, or init=identity",
        "判断效果之前多训练一会儿，或用 init=identity",
    ),
    "not_finite_gamma": ("add an epsilon to the sum of the weights", "权重之和加一个小量"),
    "wrong_channels": ("self.out_channels = {real}", "self.out_channels = {real}"),
    "wrong_shape": (
        "set self.out_channels and self.stride to what forward returns",
        "让 self.out_channels 与 self.stride 等于 forward 的实际输出",
    ),
    "norm_of_one_value": (
        "no batch norm after global pooling: a bias, or GroupNorm",
        "全局池化之后不用批归一化：改用偏置或 GroupNorm",
    ),
    "made_by_map": ("make them in __init__ from in_channels alone", "在 __init__ 中只依据 in_channels 创建"),
    "hidden": (
        "make it an attribute of the module; nn.ModuleList or nn.ParameterList instead of a Python list",
        "直接作为模块属性；列表用 nn.ModuleList 或 nn.ParameterList",
    ),
    "plain_tensor": ("self.register_buffer(name, tensor)", "self.register_buffer(名称, 张量)"),
    "dead": ("use them in forward, or remove them", "在 forward 中使用，或删除"),
    "cut_off": ("use the parameter itself", "直接使用参数本身"),
    "not_the_slope": (
        "use the tensor itself; if the cut is meant, say so in its docstring",
        "直接使用该张量；若有意截断，请在文档字符串中说明",
    ),
    "input_cut": ("compute from x, not from x.data or x.detach()", "用 x 计算，不用 x.data 或 x.detach()"),
    "not_finite_noise": ("clamp before exp, log and sqrt", "在 exp、log、sqrt 之前加 clamp"),
    "not_finite_zeros": ("add an epsilon to the denominator and under the root", "在分母和根号下加一个小量"),
    "not_finite_ones": ("add an epsilon to the variance before the root", "方差开方前加一个小量"),
    "not_finite_pixel": (
        "max(H * W - 1, 1), and an epsilon under the root",
        "用 max(H * W - 1, 1)，根号下加小量",
    ),
    "writes_input": (
        "x = x + y instead of x += y; relu without inplace=True",
        "用 x = x + y 代替 x += y；relu 不用 inplace=True",
    ),
    "softmax_over_batch": ("softmax(..., dim=-1)", "softmax(..., dim=-1)"),
    "batch_mixed": (
        "keep dimension 0 out of every softmax, mean and view",
        "softmax、mean、view 都不要碰第 0 维",
    ),
    "one_image_fails": ("squeeze(dim), never squeeze()", "用 squeeze(dim)，不用 squeeze()"),
    "flat": (
        "a softmax over one channel is 1 everywhere: more channels; or add x",
        "对单通道做 softmax 处处为 1：增加通道数，或加上 x",
    ),
    "not_repeated": ("F.dropout(x, training=self.training)", "F.dropout(x, training=self.training)"),
    "loud": ("normalise, or start from smaller weights", "加归一化，或减小初始权重"),
    "quiet": (
        "add the input (x + f(x)), or graft with init=identity",
        "加上输入（x + f(x)），或嫁接时用 init=identity",
    ),
    "state_lost": (
        "register_buffer for every tensor that forward needs",
        "forward 用到的张量都用 register_buffer 注册",
    ),
    "half_far": (
        "compute sums, means and softmax in fp32: x.float()",
        "求和、均值、softmax 用 fp32：x.float()",
    ),
    "half_not_finite": ("compute that part in fp32: x.float()", "这一段改用 fp32：x.float()"),
    "half_gradient": ("compute that part in fp32: x.float()", "这一段改用 fp32：x.float()"),
    "contiguous_copy": ("reshape instead of view", "用 reshape 代替 view"),
    "layout_fails": ("reshape instead of view", "用 reshape 代替 view"),
    "copy_fails": (
        "hold no graph and no open file; torch.nn.utils.parametrizations for weight norm",
        "不要保存计算图或打开的文件；weight norm 用 torch.nn.utils.parametrizations",
    ),
    "copy_later": (
        "torch.nn.utils.parametrizations.spectral_norm instead of the old form; store a.detach()",
        "用 torch.nn.utils.parametrizations.spectral_norm 代替旧写法；保存时用 a.detach()",
    ),
    "graph_kept": ("store a.detach(), or nothing", "保存 a.detach()，或干脆不保存"),
    "loss_no_scalar": ("return loss.mean()", "返回 loss.mean()"),
    "mode_changed": ("leave train() and eval() to the caller", "train() 与 eval() 由调用者决定"),
    "buffers_change": ("write buffers under `if self.training:`", "只在 `if self.training:` 下改写缓冲区"),
    "reseeds": ("remove torch.manual_seed from forward", "去掉 forward 里的 torch.manual_seed"),
    "frozen": ("requires_grad stays True where it should learn", "需要学习的参数保持 requires_grad=True"),
    "substitute": (
        "nothing, if that is meant; say so in the docstring",
        "若有意如此则无需改动，请在文档字符串中说明",
    ),
    "no_extra": ('pip install "yolograft[{extra}]"', 'pip install "yolograft[{extra}]"'),
    "half_open_pool": (
        "x.mean(3, keepdim=True) or x.mean(2, keepdim=True)",
        "用 x.mean(3, keepdim=True) 或 x.mean(2, keepdim=True)",
    ),
}
