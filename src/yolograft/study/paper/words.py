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
    "m_budget_looks": (
        "Every arm was trained for {epochs} epochs at {imgsz} pixels with batch {batch}, once for each "
        "of the first {count} seeds ({seeds}), until its verdict was there; within a seed all arms saw the "
        "same batches in the same order.",
        "每组训练 {epochs} 轮，输入 {imgsz} 像素，批量 {batch}，依次使用前 {count} 个种子（{seeds}），得出"
        "结论即止；同一种子下各组以相同顺序看到相同批次。",
    ),
    "m_budget_alone": (
        "It was trained for {epochs} epochs at {imgsz} pixels with batch {batch}, once for each of "
        "{count} seeds ({seeds}).",
        "训练 {epochs} 轮，输入 {imgsz} 像素，批量 {batch}，共 {count} 个种子（{seeds}）。",
    ),
    "m_optimiser": (
        "We used {optimizer} (peak learning rate {lr}, weight decay {weight_decay}) and an exponential "
        "moving average of the weights (decay rising to {ema_decay} with a time constant of {ema_tau} s"
        "teps).",
        "优化器为 {optimizer}（学习率峰值 {lr}，权重衰减 {weight_decay}），对权重取指数滑动平均（衰减系数按"
        "时间常数 {ema_tau} 步升至 {ema_decay}）。",
    ),
    "m_warmup": (
        "The learning rate warmed up over the first {steps} steps ({epochs} epochs).",
        "前 {steps} 步（{epochs} 轮）为学习率预热。",
    ),
    "m_mosaic": ("The last {epochs} epochs went without mosaic.", "最后 {epochs} 轮不用 mosaic。"),
    "m_mosaic_one": ("The last epoch went without mosaic.", "最后一轮不用 mosaic。"),
    "m_same_recipe": ("The recipe was the same for all arms.", "各组配方相同。"),
    "m_lr_auto": ("set by the recipe", "由配方确定"),
    "m_scratch": ("All weights were initialised at random.", "全部权重随机初始化。"),
    "m_weights": (
        "All arms started from the same trained weights; tensors of the grafts were new.",
        "各组从同一份已训练的权重开始；嫁接模块的张量为新初始化。",
    ),
    "m_teacher": (
        "Arms with a distillation learned from {model} (weights sha256 {sha256}) beside the boxes; what is "
        "found of them holds for this one teacher, whose own training is in no interval.",
        "带蒸馏的组除标注框外还向 {model}（权重 sha256 {sha256}）学习；"
        "其结论只针对这一个教师，教师自身训练的波动不在区间之内。",
    ),
    "m_rates": (
        "Kept tensors trained at {kept} times that rate, new ones at {new} times.",
        "保留的张量以该学习率的 {kept} 倍训练，新张量以 {new} 倍。",
    ),
    "m_new_warmup": (
        "New tensors warmed up over {epochs} epochs.",
        "新张量的学习率预热 {epochs} 轮。",
    ),
    "m_frozen": (
        "Kept tensors{part} stood still for the first {epochs} epochs.",
        "前 {epochs} 轮冻结保留的张量{part}。",
    ),
    "m_frozen_backbone": (" of the backbone", "（仅主干）"),
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
        "The intervals allow for all {tried} verdicts that share one chance of error: together they hold at "
        "{joint}.",
        "区间已计入共用一个出错概率的全部 {tried} 个结论：在 {joint} 水平上同时成立。",
    ),
    "m_tried_looks": (
        "The intervals allow for all {tried} verdicts that share one chance of error; each holds jointly "
        "with the others at the level of the look it was judged at ({joint}).",
        "区间已计入共用一个出错概率的全部 {tried} 个结论；各区间按其作出判断那一次的水平（{joint}）与其余"
        "同时成立。",
    ),
    "m_group": (
        "Images of one group ({rule}) were taken as one unit, {count} in all.",
        "同组图像（{rule}）视为一个单位，共 {count} 个。",
    ),
    "m_bank": (
        "The variance over seeds is pooled with that of {runs} earlier runs of the same baseline ({groups} "
        "group(s)); they enter no mean.",
        "种子间方差与同一基线此前 {runs} 次训练（{groups} 批）的方差合并估计；这些训练不进入任何均值。",
    ),
    "m_follows": (
        "The study follows {studies} on fresh seeds; {tried} verdicts given there count among those that "
        "share the chance of error.",
        "本实验以新的种子接续 {studies}；其中已给出的 {tried} 个结论一并计入共用的出错概率。",
    ),
    "m_contrasts": (
        "Planned contrasts between arms: {pairs}.",
        "事先计划的组间对比：{pairs}。",
    ),
    "m_branch": (
        "Per seed the baseline was trained for {shared} of {epochs} epochs, and every arm went on from "
        "there: differences are those of adding the graft to a half-trained network, not of training with it "
        "from the start.",
        "每个种子先训练基线 {shared} 轮（共 {epochs} 轮），各组再由此继续：差异反映把模块加到训练到一半的"
        "网络上的作用，而非从头一起训练。",
    ),
    "m_control_identity": (
        "An identity arm, the baseline trained once more with its initial weights moved by a thousandth, "
        "shows what chance alone gives.",
        "恒等对照组（初始权重作千分之一扰动后再训练一次基线）显示仅凭偶然会得到多大差异。",
    ),
    "m_control_placebo": (
        "Beside every graft stands a placebo, a residual pair of 1x1 convolutions{paper} of nearest "
        "parameter count at the same sites.",
        "每个嫁接旁都有安慰剂组：同一位置上参数量最接近的一对残差 1x1 卷积{paper}。",
    ),
    "m_control_placebo_some": (
        "Beside {count} of {grafts} grafts stands a placebo, a residual pair of 1x1 convolutions{paper} of "
        "nearest parameter count at the same sites; the others can have none.",
        "{grafts} 个嫁接中有 {count} 个旁设安慰剂组：同一位置上参数量最接近的一对残差 1x1 卷积{paper}；其余"
        "无法设置。",
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
