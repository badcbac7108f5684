"""The sentences of a methods paragraph in English and Chinese."""

from __future__ import annotations

METHOD_WORDS: dict[str, tuple[str, str]] = {
    "methods": ("Methods, ready for a paper", "方法（可直接用于论文）"),
    "citations": ("BibTeX", "BibTeX"),
    "m_question": (
        "On {data}, we compared {model} as it is with {model} grafted: {grafts}.",
        "我们在 {data} 上比较了原样的 {model} 与嫁接后的 {model}：{grafts}。",
    ),
    "m_question_alone": ("We trained {model} on {data}.", "我们在 {data} 上训练了 {model}。"),
    "m_data": (
        "The training split holds {train_images} images with {train_boxes} boxes of {classes} classes; "
        "all results are measured on the {eval_images} images ({eval_boxes} boxes) of the split {split}, "
        "which took no part in training.",
        "训练划分含 {train_images} 张图、{train_boxes} 个框、{classes} 个类别；全部结果在未参与训练的 "
        "{split} 划分上测得，共 {eval_images} 张图、{eval_boxes} 个框。",
    ),
    "m_budget": (
        "Every arm was trained for {epochs} epochs at {imgsz} pixels with batch {batch}, once for each "
        "of {count} seeds ({seeds}); within a seed all arms saw the same batches in the same order.",
        "每组训练 {epochs} 轮，输入 {imgsz} 像素，批量 {batch}，共 {count} 个种子（{seeds}）；同一种子下"
        "各组以相同顺序看到相同批次。",
    ),
    "m_budget_alone": (
        "It was trained for {epochs} epochs at {imgsz} pixels with batch {batch}, once for each of "
        "{count} seeds ({seeds}).",
        "训练 {epochs} 轮，输入 {imgsz} 像素，批量 {batch}，共 {count} 个种子（{seeds}）。",
    ),
    "m_optimiser": (
        "We used {optimizer} (learning rate {lr}, weight decay {weight_decay}, {warmup_epochs} warm-up "
        "epochs), an exponential moving average of the weights (decay {ema_decay}), and no mosaic in the "
        "last {close_mosaic} epochs; the recipe was the same for all arms.",
        "优化器为 {optimizer}（学习率：{lr}；权重衰减 {weight_decay}；预热 {warmup_epochs} 轮），对权重取"
        "指数滑动平均（衰减 {ema_decay}），最后 {close_mosaic} 轮不用 mosaic；各组配方相同。",
    ),
    "m_lr_auto": ("set by the recipe", "由配方确定"),
    "m_scratch": ("All weights were initialised at random.", "全部权重随机初始化。"),
    "m_weights": (
        "All arms started from the same trained weights; tensors of the grafts were new.",
        "各组从同一份已训练的权重开始；嫁接模块的张量为新初始化。",
    ),
    "m_machine": (
        "Training ran in {precision} on {device} ({versions}); evaluation ran in fp32.",
        "训练精度 {precision}，设备 {device}（{versions}）；评估用 fp32。",
    ),
    "m_measure": (
        "AP is COCO AP averaged over IoU 0.50:0.95, in points, of the last averaged weights; no epoch "
        "was chosen on evaluation data.",
        "AP 为 COCO AP（IoU 0.50:0.95 平均，单位为点），取最后的滑动平均权重；未在评估数据上挑选轮次。",
    ),
    "m_one_look": (
        "The number of seeds was fixed before the first run, and the result was judged once, at the end.",
        "种子数在首次训练前确定，结果只在最后判断一次。",
    ),
    "m_looks": (
        "The study was planned to be judged after {seeds} seeds per arm, at two-sided levels {alphas} "
        "(overall 5 %); an arm whose verdict had fallen took no further seeds.",
        "计划在每组 {seeds} 个种子时各判断一次，双侧水平依次为 {alphas}（总体 5 %）；已有结论的组不再增加"
        "种子。",
    ),
    "m_interval_split": (
        "Differences to the baseline come with a {level} t interval from the variance over seeds; they "
        "hold for {scope}.",
        "与基线之差附 {level} t 区间，方差来自种子间变化；{scope}。",
    ),
    "m_interval_images": (
        "Differences to the baseline come with a {level} t interval whose variance has a part over "
        "training seeds and a part over evaluation images (influence of every image on AP, degrees of "
        "freedom after Satterthwaite); they hold for {scope}.",
        "与基线之差附 {level} t 区间，方差由训练种子与评估图像两部分组成（每张图像对 AP 的影响函数，自由"
        "度按 Satterthwaite 计）；适用于{scope}。",
    ),
    "m_paired": (
        "As declared before the first run, seeds were compared in pairs.",
        "按首次训练前的声明，各种子成对比较。",
    ),
    "m_tried": (
        "The intervals of all {tried} arms tried against the baseline hold together at {joint}.",
        "与基线比较的全部 {tried} 组，其区间在 {joint} 水平上同时成立。",
    ),
    "m_control_identity": (
        "An identity arm, the baseline trained once more, shows what chance alone gives.",
        "恒等对照组（再训练一次基线）显示仅凭偶然会得到多大差异。",
    ),
    "m_control_placebo": (
        "Beside every graft stands a placebo, a residual pair of 1x1 convolutions of nearest parameter "
        "count at the same sites.",
        "每个嫁接旁都有安慰剂组：同一位置上参数量最接近的一对残差 1x1 卷积。",
    ),
    "m_control_next-scale": (
        "The next larger stock detector, trained for as many epochs, shows what size buys.",
        "更大一号的原版检测器以相同轮数训练，显示单靠增大规模能得到多少。",
    ),
    "m_margin": (
        "A margin of {margin} AP, set before the first run, is the smallest difference that matters here.",
        "首次训练前设定的阈值 {margin} AP 是此处有意义的最小差异。",
    ),
    "m_hashes": (
        "Recipe {recipe}, evaluation data {data} (first digits of SHA-256).",
        "配方 {recipe}，评估数据 {data}（SHA-256 前几位）。",
    ),
}
