"""Every sentence `check` says about an index file, in English and Chinese."""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[str, str]


class Sentence(NamedTuple):
    """what: the finding. fix: what to do about it. why: where it is another reason than the code's own."""

    what: Pair
    fix: Pair
    why: Pair | None = None


# Why it matters depends on the code alone.
WHY: dict[str, Pair] = {
    "YG145": ("no reader of this project takes it", "本项目无法读取"),
    "YG150": ("where shapes fit it trains, as another network", "形状对得上就照常训练，但已是另一个网络"),
    "YG151": (
        "boxes are sought on the wrong maps, without a message",
        "会在错误的特征图上找框，且没有任何提示",
    ),
    "YG152": ("without a head at the end nothing is detected", "末尾没有检测头就什么也检测不出来"),
    "YG153": ("it costs time and changes nothing", "只费时间，不起作用"),
    "YG154": (
        "a parser that has not imported it stops with KeyError",
        "没有导入它的解析器会报 KeyError 而停下",
    ),
    "YG155": ("the constructor stops with TypeError", "构造函数会报 TypeError 而停下"),
    "YG156": ("the constructor cannot take it", "构造函数无法接受"),
    "YG157": ("channels follow the map, not this number", "通道数由特征图决定，而不是这个数"),
    "YG158": ("such maps cannot be joined", "这样的特征图拼不到一起"),
    "YG159": ("the head is built for something else", "检测头按别的数量构建"),
    "YG160": ("depth and width come out other than meant", "得到的深度和宽度不是想要的"),
    "YG161": ("where things are is lost behind this row", "从这一行起位置信息全部丢失"),
    "YG162": ("an answer depends on its batch mates", "一张图的结果取决于同批的图"),
    "YG163": ("the build passes and the first batch fails", "构建能通过，第一批图就会失败"),
    "YG164": ("the attention is another than written", "算出来的注意力不是所写的那个"),
    "YG165": ("padding k//2 makes the map grow by one", "填充 k//2 会让特征图多出一行一列"),
    "YG166": ("memory and time grow with the square of the area", "显存和时间随面积平方增长"),
    "YG167": ("they are stored and never learn", "它们占用存储却从不学习"),
    "YG168": ("what is not there cannot be compared", "没有的部分无从比较"),
    "YG174": ("what it does to its maps stays unknown", "它对特征图的作用仍不清楚"),
    "YG169": ("the rows behind it get another size", "后面各行的尺寸随之改变"),
}

WIRING: dict[str, Sentence] = {
    "stale": Sentence(
        (
            "{module} reads row {now}, the {now_module} at stride {now_stride}; the stock graph reads the "
            "{meant_module} at stride {meant_stride}, row {meant} now",
            "{module} 读第 {now} 行（{now_module}，步长 {now_stride}）；标准结构读的是 {meant_module}"
            "（步长 {meant_stride}），现在是第 {meant} 行",
        ),
        ("write {write}", "改为 {write}"),
    ),
    "stale_same": Sentence(
        (
            "{module} reads row {now}, the {now_module} at stride {now_stride}; the stock graph reads the "
            "{meant_module} of that stride, row {meant} now",
            "{module} 读第 {now} 行（{now_module}，步长 {now_stride}）；标准结构读的是"
            "同步长的 {meant_module}，现在是第 {meant} 行",
        ),
        ("write {write}", "改为 {write}"),
    ),
    "unlike": Sentence(
        (
            "{module} joins maps of different stride: rows {maps}",
            "{module} 合并的特征图步长不同：第 {maps} 行",
        ),
        ("rows at stride {stride}: {rows}", "步长为 {stride} 的行：{rows}"),
    ),
    "missing": Sentence(
        (
            "the stock graph has a {module} (its row {stock}) behind row {before}; this file has none",
            "标准结构在第 {before} 行之后有 {module}（其第 {stock} 行），本文件没有",
        ),
        ("nothing, if that is meant", "若有意如此则无需改动"),
    ),
    "far": Sentence(
        (
            "only {found} of {total} stock rows are found: the wiring is not compared",
            "标准结构的 {total} 行只找到 {found} 行：未比较连线",
        ),
        ("nothing, if the design is your own", "若是自己设计的结构则无需改动"),
    ),
    "unread": Sentence(
        ("nobody reads row {row}, {module}", "没有任何一行读取第 {row} 行 {module}"),
        (
            "let the rows that read its input ({readers}) read {row}",
            "让读取其输入的行（{readers}）改读 {row}",
        ),
    ),
}

HEAD: dict[str, Sentence] = {
    "no_head": Sentence(
        (
            "the file ends at row {row}, {module}, without Detect; the stock graph goes on with {more} rows",
            "文件止于第 {row} 行 {module}，没有 Detect；标准结构后面还有 {more} 行",
        ),
        ("write the rest of the head: --fix does", "补全其余的 head：可用 --fix"),
    ),
    "two_heads": Sentence(
        ("a second {module}; the last one is row {last}", "有多个 {module}，最后一个在第 {last} 行"),
        ("keep one, at the end", "只保留末尾的一个"),
    ),
    "not_last": Sentence(
        ("{after} comes after {module} (row {row})", "{module}（第 {row} 行）之后还有 {after}"),
        ("move it in front of {module}", "移到 {module} 之前"),
    ),
    "on_concat": Sentence(
        (
            "{module} reads rows {now} ({modules}); the stock head reads the {meant_modules}, "
            "rows {meant} now",
            "{module} 读第 {now} 行（{modules}）；标准检测头读的是 {meant_modules}，现在是第 {meant} 行",
        ),
        ("write [{meant}]", "改为 [{meant}]"),
    ),
    "wrong_levels": Sentence(
        (
            "{module} reads rows {now} ({modules}, strides {strides}); the stock head reads rows {meant} now",
            "{module} 读第 {now} 行（{modules}，步长 {strides}）；标准检测头现在应读第 {meant} 行",
        ),
        ("write [{meant}]", "改为 [{meant}]"),
    ),
    "fewer_levels": Sentence(
        (
            "{module} has {count} levels ({now}), the stock head {stock}: rows {meant} now",
            "{module} 只有 {count} 个层级（{now}），标准检测头有 {stock} 个：现在是第 {meant} 行",
        ),
        ("write [{meant}]", "改为 [{meant}]"),
    ),
    "some_levels": Sentence(
        (
            "{module} has {count} of the stock head's {stock} levels (strides {strides})",
            "{module} 只用标准检测头 {stock} 个层级中的 {count} 个（步长 {strides}）",
        ),
        ("nothing, if that is meant", "若有意如此则无需改动"),
        ("objects of the other sizes are sought there too", "其他尺寸的目标也只在这些层级上找"),
    ),
    "before_graft": Sentence(
        (
            "{module} reads row {now}, {now_module}, though {graft} follows it",
            "{module} 读第 {now} 行 {now_module}，而其后还有 {graft}",
        ),
        ("write {write}, if the graft is for the head too", "若检测头也要用该模块，改为 {write}"),
        ("the graft does not reach this level", "该模块对这一层级不起作用"),
    ),
    "head_arguments": Sentence(
        (
            "{module} takes [{order}], this row has {args}",
            "{module} 的参数为 [{order}]，这一行是 {args}",
        ),
        ("write [{order}]; anchors stand at the top of the file", "写成 [{order}]；anchors 写在文件顶部"),
    ),
    "more_levels": Sentence(
        (
            "{module} has {count} levels (strides {strides}), the stock head {stock}",
            "{module} 有 {count} 个层级（步长 {strides}），标准检测头有 {stock} 个",
        ),
        ("nothing, if that is meant", "若有意如此则无需改动"),
    ),
    "reads_concat": Sentence(
        (
            "{module} reads a Concat: rows {now} ({modules})",
            "{module} 直接读 Concat：第 {now} 行（{modules}）",
        ),
        ("read the block behind the Concat", "改读 Concat 之后的块"),
    ),
    "level_order": Sentence(
        ("the levels of {module} have strides {strides}", "{module} 各层级的步长为 {strides}"),
        ("each stride once, the finest first", "每个步长一次，从细到粗"),
    ),
    "classes": Sentence(
        (
            "{module} is written for {written} classes, nc says {classes}",
            "{module} 写的是 {written} 类，nc 是 {classes}",
        ),
        ("write nc there", "那里写 nc"),
    ),
    "names": Sentence(
        ("{names} names for nc: {classes}", "nc 为 {classes}，却有 {names} 个类别名"),
        ("make them as many", "让两者一致"),
    ),
    "anchor_levels": Sentence(
        (
            "anchors for {anchors} levels, Detect has {levels}",
            "anchors 有 {anchors} 行，Detect 有 {levels} 个层级",
        ),
        ("one line of anchors a level", "每个层级一行 anchors"),
    ),
    "no_sides": Sentence(
        (
            "{each} anchors on each of {levels} levels, without their sides; {stock} has {known} in all",
            "{levels} 个层级各 {each} 个锚框，却没写宽高；{stock} 总共有 {known} 个",
        ),
        ("anchors: one line [10,13, 16,30, 33,23] a level", "每个层级写一行 [10,13, 16,30, 33,23]"),
    ),
}

ROWS: dict[str, Sentence] = {
    "unknown": Sentence(
        (
            "{module} is not known here{near}",
            "这里不认识 {module}{near}",
        ),
        (
            "--code my_att.py with class {name}, or a name of: yolograft modules",
            "--code my_att.py（其中有类 {name}），或用 yolograft modules 中的名字",
        ),
    ),
    "missing_arguments": Sentence(
        (
            "{module} is given {args} and leaves out {names} of ({order})",
            "{module} 只得到 {args}，在（{order}）中缺 {names}",
        ),
        ("write {example}", "写成 {example}"),
    ),
    "no_arguments": Sentence(
        ("{module} is given no arguments and needs {names}", "{module} 没有得到参数，缺 {names}"),
        ("write {example}", "写成 {example}"),
    ),
    "surplus": Sentence(
        (
            "{module} takes ({order}); {args} has {count} arguments",
            "{module} 的参数为（{order}）；{args} 有 {count} 个参数",
        ),
        ("leave out {extra}", "去掉 {extra}"),
    ),
    "kind": Sentence(
        ("{module}: {name} is {value}, not {wanted}", "{module}：{name} 为 {value}，应为{wanted}"),
        ("write {wanted}", "写成{wanted}"),
    ),
    "refused": Sentence(
        ("{module} refuses {args}: {error}", "{module} 不接受 {args}：{error}"),
        ("correct the arguments", "改正参数"),
    ),
    "number_scaled": Sentence(
        (
            "{module} {args}: {number} after width {width} is {scaled}, which the map has",
            "{module} {args}：{number} 乘宽度 {width} 得 {scaled}，与特征图相同",
        ),
        ("leave it out", "去掉它"),
        (
            "a parser without a branch for this class passes {number} unscaled, and the batch norm fails",
            "解析器没有为这个类写分支时会原样传入 {number}，批归一化随即报错",
        ),
    ),
    "number_trap": Sentence(
        (
            "{module} {args}: the map has {channels} channels, {number} becomes {scaled} after width {width} "
            "and mis-sizes the next row",
            "{module} {args}：特征图有 {channels} 个通道，{number} 乘宽度 {width} 得 {scaled}，"
            "下一行的尺寸就错了",
        ),
        ("leave it out", "去掉它"),
    ),
    "split": Sentence(
        (
            "{module}: group_split {split} adds up to {sum}, heads are {heads}",
            "{module}：group_split {split} 之和为 {sum}，头数为 {heads}",
        ),
        ("make them equal", "让两者相等"),
    ),
    "heads": Sentence(
        (
            "{module}: {channels} channels do not divide into {heads} heads",
            "{module}：{channels} 个通道不能平分给 {heads} 个头",
        ),
        ("a divisor of {channels}", "取 {channels} 的约数"),
    ),
    "even_kernel": Sentence(
        ("{module}: {name} {value} is even", "{module}：{name} {value} 是偶数"),
        ("an odd size", "用奇数"),
    ),
    "window": Sentence(
        (
            "{module}: window {window} does not divide the sides {sizes} of the map at {images} px",
            "{module}：窗口 {window} 除不尽 {images} 像素时特征图的边长 {sizes}",
        ),
        ("elsewhere: pad the map", "别处请补边"),
        (
            "ours averages what is left, the printed class fails there",
            "这里对残缺窗口取均值，原文的类在第一批图上就会失败",
        ),
    ),
    "window_one": Sentence(
        (
            "{module}: window 1 compares each of {tokens} positions with all others at 640 px",
            "{module}：窗口为 1，640 像素时 {tokens} 个位置两两比较",
        ),
        ("a window of 2 or more", "窗口取 2 以上"),
    ),
}

PROBES: dict[str, Sentence] = {
    "too_large": Sentence(
        (
            "{module} is not tried: {channels} channels at stride {stride}, {parameters} parameters",
            "未试算 {module}：步长 {stride} 处 {channels} 个通道，{parameters} 个参数",
        ),
        ("check a smaller scale of the file", "请检查该文件的较小规模"),
    ),
    "flat": Sentence(
        (
            "{module} gives each channel one value at all positions (tried at {sizes})",
            "{module} 的每个通道在所有位置取同一个值（在 {sizes} 上试过）",
        ),
        ("{advice}", "{advice_zh}"),
    ),
    "batch_mixed": Sentence(
        (
            "{module}: an image's output changes with the images beside it",
            "{module}：一张图的输出随同批的图改变",
        ),
        ("keep dimension 0 out of softmax, mean and view", "softmax、mean、view 都不要碰第 0 维"),
    ),
    "some_sizes": Sentence(
        (
            "{module} fails at {fails} px, passes at {passes} px: {error}",
            "{module} 在 {fails} 像素失败，在 {passes} 像素通过：{error}",
        ),
        ("any size: pad, or a window that divides", "支持任意尺寸：补边，或换能整除的窗口"),
    ),
    "no_size": Sentence(
        ("{module} fails at every image size: {error}", "{module} 在所有图像尺寸下都失败：{error}"),
        ("yolograft doctor names the cause", "用 yolograft doctor 查原因"),
    ),
    "broadcast": Sentence(
        (
            "{module} multiplies {left} heads with {right} at {images} px: one is broadcast over the others",
            "{module} 在 {images} 像素时用 {left} 个头乘 {right} 个头：其中一个被广播到其余",
        ),
        ("view by the pooled height and width", "view 时用池化后的高和宽"),
    ),
    "quadratic": Sentence(
        (
            "{module}: twice the side costs {ratio} times the arithmetic",
            "{module}：边长加倍，计算量变为 {ratio} 倍",
        ),
        ("pool the keys, or place it at stride 32", "对 key 做池化，或只放在步长 32 处"),
    ),
    "dead": Sentence(
        ("{module}: no gradient reaches {names}", "{module}：{names} 得不到梯度"),
        ("use them in forward, or remove them", "在 forward 中使用，或删除"),
    ),
    "channels_change": Sentence(
        (
            "{module} makes {out} channels of {channels}; a parser takes {channels}",
            "{module} 把 {channels} 个通道变成 {out} 个；解析器按 {channels} 个算",
        ),
        ("keep the count, if the next row is to fit", "若要下一行对得上，请保持通道数"),
    ),
}

SCALES: dict[str, Sentence] = {
    "two_tables": Sentence(
        (
            "depth_multiple and width_multiple stand beside scales ({scales}): only one of them counts",
            "depth_multiple、width_multiple 与 scales（{scales}）并存：只有一个起作用",
        ),
        ("remove the multiples", "删去这两行"),
    ),
    "scale_order": Sentence(
        (
            "scale {scale}: depth {depth}, width {width}, max_channels {most}",
            "规模 {scale}：深度 {depth}、宽度 {width}、max_channels {most}",
        ),
        ("the order is depth, width, max_channels", "顺序为 depth、width、max_channels"),
    ),
    "scale_swapped": Sentence(
        (
            "scale {scale}: {depth}, {width} is width before depth",
            "规模 {scale}：{depth}、{width} 把宽度写在了深度前",
        ),
        ("write {right}", "写成 {right}"),
    ),
    "scale_foreign": Sentence(
        (
            "{scale}: {depth}, {width} are the multiples of {other}, not of {family}",
            "{scale}：{depth}、{width} 是 {other} 的倍数，不是 {family} 的",
        ),
        ("write {right}", "写成 {right}"),
    ),
    "scale_uncapped": Sentence(
        (
            "{scale}: {depth}, {width} without max_channels; {other} caps channels at {most}",
            "{scale}：{depth}、{width} 没有 max_channels；{other} 的上限是 {most}",
        ),
        ("a scales table: [depth, width, {most}]", "用 scales 表：[depth, width, {most}]"),
    ),
}

SENTENCES: dict[str, Sentence] = WIRING | HEAD | ROWS | PROBES | SCALES
