"""Every sentence of the environment check in English and Chinese."""

from __future__ import annotations

Pair = tuple[str, str]

MACHINE_NAMES: dict[str, Pair] = {
    "python": ("Python", "Python"),
    "torch": ("torch and driver", "torch 与驱动"),
    "gpu": ("GPU kernels", "GPU 算子"),
    "torchvision": ("torchvision", "torchvision"),
    "opencv": ("OpenCV", "OpenCV"),
    "font": ("Chinese font", "中文字体"),
    "disk": ("disk", "磁盘"),
    "writable": ("write permission", "写权限"),
    "memory": ("memory", "内存"),
    "threads": ("cores and threads", "核数与线程"),
    "extra": ("optional part", "可选组件"),
}

MACHINE_REASONS: dict[str, Pair] = {
    "version": ("{version}", "{version}"),
    "python_unfit": ("{version}, needed {requires}", "当前 {version}，需要 {requires}"),
    "torch_broken": ("torch does not import: {error}", "torch 无法导入：{error}"),
    "torch_gpu": ("torch {version}, CUDA {cuda}", "torch {version}，CUDA {cuda}"),
    "torch_cpu": (
        "torch {version}; no NVIDIA driver here, it runs on the CPU",
        "torch {version}；本机没有 NVIDIA 驱动，在 CPU 上运行",
    ),
    "driver_old": (
        "torch {version} is built for CUDA {cuda}, the NVIDIA driver here cannot run that",
        "torch {version} 按 CUDA {cuda} 编译，本机 NVIDIA 驱动跑不了",
    ),
    "gpu_hidden": (
        "an NVIDIA driver is here, but torch {version} (CUDA {cuda}) sees no GPU: {error}",
        "本机有 NVIDIA 驱动，但 torch {version}（CUDA {cuda}）看不到 GPU：{error}",
    ),
    "cpu_build": (
        "an NVIDIA driver is here, torch {version} is the CPU build",
        "本机有 NVIDIA 驱动，但 torch {version} 是 CPU 版",
    ),
    "kernels": ("{name}, compute capability {capability}", "{name}，计算能力 {capability}"),
    "no_kernels": ("{name}: {reason}", "{name}：{reason}"),
    "after_torch": ("not looked at: torch does not import", "未检查：torch 无法导入"),
    "torchvision_other": (
        "{version} was made for torch {wants}, installed is {torch}",
        "{version} 对应 torch {wants}，装的是 {torch}",
    ),
    "torchvision_broken": ("its operators fail: {error}", "算子运行失败：{error}"),
    "two_opencv": (
        "{names} write into one folder, whichever came last wins",
        "{names} 写入同一个目录，后装的覆盖先装的",
    ),
    "no_opencv": ("no OpenCV distribution is installed", "没有安装 OpenCV"),
    "font_found": ("{file}", "{file}"),
    "no_font": (
        "none found: Chinese class names become numbers in figures",
        "未找到：图中的中文类别名会变成编号",
    ),
    "disk_free": ("{free} GiB free in {place}", "{place} 剩余 {free} GiB"),
    "disk_low": ("only {free} GiB free in {place}", "{place} 只剩 {free} GiB"),
    "disk_full": ("only {free} GiB free in {place}", "{place} 只剩 {free} GiB"),
    "can_write": ("run folder and temporary files", "运行目录和临时文件可写"),
    "read_only": ("cannot write into {places}", "无法写入 {places}"),
    "memory_free": ("{free} GiB free", "可用 {free} GiB"),
    "memory_low": ("only {free} GiB free", "只剩 {free} GiB"),
    "memory_unknown": ("this system does not say", "系统没有提供该信息"),
    "threads_fit": ("{cores} cores, {threads} threads", "{cores} 核，{threads} 线程"),
    "threads_other": (
        "{cores} cores, but torch uses {threads} threads",
        "{cores} 核，torch 却用 {threads} 线程",
    ),
    "extra_missing": ("{name} is not installed ({packages})", "{name} 未安装（{packages}）"),
}

MACHINE_FIXES: dict[str, Pair] = {
    "python_unfit": (
        "uv python install 3.12, then uv venv --python 3.12",
        "uv python install 3.12，再 uv venv --python 3.12",
    ),
    "torch_broken": (
        "pip install --force-reinstall torch torchvision",
        "pip install --force-reinstall torch torchvision",
    ),
    "driver_old": (
        "update the NVIDIA driver (Ubuntu: sudo ubuntu-drivers install), or train with --device cpu",
        "更新 NVIDIA 驱动（Ubuntu：sudo ubuntu-drivers install），或用 --device cpu 训练",
    ),
    "gpu_hidden": (
        "unset CUDA_VISIBLE_DEVICES; start the container with --gpus all; on a login node ask for a GPU job",
        "unset CUDA_VISIBLE_DEVICES；容器用 --gpus all 启动；登录节点请提交 GPU 作业",
    ),
    "cpu_build": (
        "pip install --force-reinstall torch torchvision with the CUDA build",
        "pip install --force-reinstall torch torchvision，选 CUDA 版",
    ),
    "no_kernels": (
        "install a torch build with these kernels, or train with --device cpu",
        "换一个带有该架构算子的 torch，或用 --device cpu 训练",
    ),
    "torchvision_other": (
        'pip install --upgrade "torch=={wants}" "torchvision=={version}"',
        'pip install --upgrade "torch=={wants}" "torchvision=={version}"',
    ),
    "torchvision_broken": (
        "pip install --force-reinstall torch torchvision",
        "pip install --force-reinstall torch torchvision",
    ),
    "two_opencv": (
        "pip uninstall -y {surplus} && pip install --force-reinstall opencv-python-headless",
        "pip uninstall -y {surplus} && pip install --force-reinstall opencv-python-headless",
    ),
    "no_opencv": ("pip install opencv-python-headless", "pip install opencv-python-headless"),
    "no_font": (
        "sudo apt install fonts-noto-cjk (Fedora: google-noto-sans-cjk-fonts)",
        "sudo apt install fonts-noto-cjk（Fedora：google-noto-sans-cjk-fonts）",
    ),
    "disk_low": ("put runs elsewhere: --runs FOLDER", "把结果放到别处：--runs 目录"),
    "disk_full": (
        "free some space, or put runs elsewhere: --runs FOLDER",
        "清理空间，或把结果放到别处：--runs 目录",
    ),
    "read_only": (
        "--runs FOLDER you own; TMPDIR=FOLDER for temporary files",
        "--runs 指向可写目录；临时文件用 TMPDIR=目录",
    ),
    "memory_low": (
        "close other programs, or --batch 4 --cache none",
        "关闭其他程序，或用 --batch 4 --cache none",
    ),
    "threads_other": ("export OMP_NUM_THREADS={cores}", "export OMP_NUM_THREADS={cores}"),
    "extra_missing": ('pip install "yolograft[{name}]"', 'pip install "yolograft[{name}]"'),
}
