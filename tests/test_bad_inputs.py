"""Every mistake gets one line with name, rule, value and remedy, exit code 2, and leaves nothing behind."""

import re
import shlex
import subprocess
import sys

import pytest

from datavol.config.command_line.keys import all_keys
from datavol.config.compose import compose, parse
from datavol.config.section import conf_dir
from datavol.errors import ConfigError
from datavol.run import main
from datavol.training.preflight import check_runs

FRACTION = "fraction must be a number above 0 and at most 1, got {}; try fraction=0.25"
MISTAKES = {
    "fraction=0": FRACTION.format("0"),
    "fraction=1.5": FRACTION.format("1.5"),
    "fraction=half": FRACTION.format('"half"'),
    "fraction=true": FRACTION.format("true"),
    "fraction=0.1,0.2": "fraction must be one value without -m, got fraction=0.1,0.2; try -m fraction=0.1,0.2",
    "-m fraction=0.1,7": FRACTION.format("7").replace("0.25", "0.07"),
    "fraction=5%": 'fraction must be a number above 0 and at most 1, got "5%"; try fraction=0.05',
    "fraction=1/4": 'fraction must be a number above 0 and at most 1, got "1/4"; try fraction=0.25',
    "fraction=0,5": "fraction must be one value without -m, got fraction=0,5; try fraction=0.5",
    "fraction=0.1,": "an override must be written name=value, got 'fraction=0.1,'; try fraction=0.1",
    "fraction=[0.1,0.2]": "fraction must be a number above 0 and at most 1, got [0.1, 0.2]; try -m fraction=0.1,0.2",
    "-m fraction=0.1 0.2": "an override must be written name=value, got '0.2'; try -m fraction=0.1,0.2",
    "fraction = 0.1": "an override must be written name=value, got 'fraction'; try fraction=0.1",
    "-m fraction=interval(0,1)": "fraction must be values or a range with -m, got interval(0,1); try -m fraction=0.25",
    "seed=range(5)": "seed must be one value without -m, got seed=range(5); try -m 'seed=range(5)'",
    "seed=1.5": "seed must be a whole number of at least 0, got 1.5; try seed=2",
    "+fraction=0.2": "fraction must be written without +, as conf/ has it, got +fraction=0.2; try fraction=0.2",
    "~fraction": FRACTION.format("nothing"),
    "fractoin=0.5": "fractoin must be a key of conf/, got an unknown one; try fraction=0.5",
    "recipe.lr=0.1": "recipe.lr must be a key of conf/, got an unknown one; try recipe.optimiser.lr=0.1",
    "lr=auto": "lr must be a key of conf/, got an unknown one; try recipe.optimiser.lr=0.1",
    "batch-size=64": "batch-size must be a key of conf/, got an unknown one; try recipe.batch_size=64",
    "trainer.max_epochs=2": "trainer.max_epochs must be a key of conf/, got an unknown one; try epochs=2",
    "trainer.gpus=1": "trainer.gpus must be a key of conf/, got an unknown one; try trainer.devices=1",
    "optimizer=adam": "optimizer must be a key of conf/, got an unknown one; try recipe.optimiser.name=adam",
    "dataset=Digits": "dataset must be a key of conf/, got an unknown one; try data=digits",
    "data_dir=/photos": "data_dir must be a key of conf/, got an unknown one; try data=image_folder data.root=/photos",
    "recipe.optimiser=adamw": 'recipe.optimiser must be a section, got "adamw"; try recipe.optimiser.name=adamw',
    "recipe.optimiser.amsgrad=true": "recipe.optimiser.amsgrad must be written with + where it is an argument of a "
    "class, got it without; try +recipe.optimiser.amsgrad=true",
    "recipe.optimiser.name=AdamW logger=csv": "recipe.optimiser.name must be an optimiser of torch or timm, got "
    "'AdamW'; try recipe.optimiser.name=adamw",
    "recipe.optimiser.name=lion recipe.optimiser.momentum=0.8": "recipe.optimiser.momentum must be 0.9 with lion, "
    "which takes none, got 0.8; try recipe.optimiser.momentum=0.9 '+recipe.optimiser.betas=[0.8,0.99]'",
    "recipe.optimiser.name=rmsprop +recipe.optimiser.aplha=0.9": "recipe.optimiser.aplha must be an argument of "
    "RMSprop, got an unknown one; try +recipe.optimiser.alpha=0.9",
    "recipe.optimiser.name=lbfgs": "recipe.optimiser.name must be an optimiser that steps on the gradients of a batch, "
    "got lbfgs, which asks for the loss several times in a step; try recipe.optimiser.name=adamw",
    "recipe.schedule.name=OneCycleLR recipe.schedule.warmup_epochs=0": "recipe.schedule.name must be one of ..., got "
    "'OneCycleLR'; try recipe.schedule.name=onecycle",
    "recipe.schedule.name=plateau": "recipe.schedule.name must be a schedule that all fractions share, got plateau, "
    "which follows each run's own evaluations; try recipe.schedule.name=cosine",
    "recipe.augment.auto=ra": "recipe.augment.auto must be ta_wide, randaugment, autoaugment (of ImageNet), "
    'autoaugment_cifar10, autoaugment_svhn, augmix or null, got "ra"; try recipe.augment.auto=randaugment',
    "+recipe.augment.magnitude=5": "recipe.augment.magnitude must be an argument of recipe.augment.auto, got it "
    "without; try recipe.augment.auto=randaugment +recipe.augment.magnitude=5",
    "recipe.accumulate=3": "recipe.accumulate must divide recipe.batch_size (32), got 3; try recipe.accumulate=2",
    "accumulate_grad_batches=2": "accumulate_grad_batches must be a key of conf/, got an unknown one; try "
    "recipe.accumulate=2",
    "recipe.clip_norm=1 recipe.clip_value=1": "recipe.clip_norm must be null with recipe.clip_value, got 1; try "
    "recipe.clip_value=null",
    "recipe.ema=0.99": "recipe.ema must be a section, got 0.99; try recipe.ema.decay=0.99",
    "recipe.ema.every=4": "recipe.ema.decay must be given with recipe.ema.every or recipe.ema.start, got null; try "
    "recipe.ema.decay=0.999",
    "recipe.freeze=1": "recipe.freeze must be null without model.weights, since random layers learn nothing, got 1; "
    "try recipe.freeze=null",
    "trainer=cpu trainer.sync_batchnorm=true": "trainer.sync_batchnorm must be false on a CPU, for which torch has "
    "none, got true; try trainer.sync_batchnorm=false",
    "imbalance=step": 'imbalance must be a section, got "step"; try imbalance.profile=step',
    "recipe.schedule.gamma=2": "recipe.schedule.gamma must be the factor of a decay, above 0 and at most 1, got 2; "
    "try recipe.schedule.gamma=0.1",
    "--config-name=mine": "--config-name must be left out, since conf/ alone is composed, got it; try without",
    "+colour=red": "colour must be a key of conf/, got an unknown one; --help lists the keys",
    "data.root=x": "data.root must be a key of the chosen data, got one of data=fashion_mnist, cifar10, cifar100, "
    "imagenet, image_folder, table, webdataset, hugging_face, own; leave data.root out, or try data=image_folder "
    "data.root=x",
    "model=resnet51": "model must be one of ..., got 'resnet51'; try model=resnet50",
    "model=resnet18": "model must be one of ..., got 'resnet18'; try model=timm model.name=resnet18",
    "-m model=resnet50,foo": "model must be one of ..., got 'foo'; try model=mobilenet_v2",
    "model.name=resnet18": "model.name must be one of ... unless model=timm, got 'resnet18'; "
    "try model=timm model.name=resnet18",
    "model=null": "model must be one of ..., got 'null'; try model=mobilenet_v2",
    "fraction=${nope}": "fraction must refer to a key or variable that exists, got: Interpolation key 'nope' not "
    "found; try fraction=0.25",
    "-m fraction=glob(*)": "a sweep must have at least one run, got none from fraction=glob(*); give it values",
    "model=timm": "model.name must be given with model=timm, got nothing; try model.name=densenet121",
    "model.stem=tiny": 'model.stem must be standard or small, got "tiny"; try model.stem=standard',
    "recipe=thesis_resnet51": "recipe must be one of ..., got 'thesis_resnet51'; try recipe=thesis_resnet50",
    "data=mnist": "data must be one of ..., got 'mnist'; try data=fashion_mnist",
    "data=image_folder": "data.root must be a folder, got nothing; try data.root=/path/to/images",
    "data=table": "data.table must be a CSV file with the columns path, label and split, got nothing; "
    "try data.table=/path/to/labels.csv",
    "data.val_fraction=2": "data.val_fraction must be a share above 0 and below 1, got 2; try data.val_fraction=0.2",
    "seed=-1": "seed must be a whole number of at least 0, got -1; try seed=0",
    "epochs=0": "epochs must be budget epochs, a whole number of at least 1, got 0; try epochs=90",
    "recipe=thesis_resnet50 epochs=3": "epochs must be above the 5 budget epochs of recipe.schedule.warmup_epochs, "
    "got 3; try epochs=6 or recipe.schedule.warmup_epochs=0",
    "budget=time": 'budget must be iterations or epochs, got "time"; try budget=iterations',
    "draw=random": 'draw must be independent, nested or disjoint, got "random"; try draw=independent',
    "trainer.devices=[0,1]": "trainer.devices must be auto or a whole number of at least 1, got [0, 1]; "
    "try trainer.devices=1",
    "experiment=fashion_mnist_pilot": "-m must be given with an experiment that is a sweep, got a single run; try -m",
    "recipe.optimiser.nesterov=true": "recipe.optimiser.nesterov must be false unless",
    "--cfg job fraction=2": FRACTION.format("2").replace("0.25", "0.02"),
    "trainer.devices=3": "recipe.batch_size must divide evenly among 3 devices, got 32; try recipe.batch_size=33",
    "trainer.devices=0": "trainer.devices must be auto or at least 1, got 0; try trainer.devices=1",
    "trainer.precision=8": 'trainer.precision must be auto, 32, 16-mixed, bf16-mixed or 64, got "8"; '
    "try trainer.precision=32",
    "logger=tensorboard": "logger must be one of ..., got 'tensorboard'; try logger=csv",
    "study=a/b": "study must be a folder's name of letters, digits, '.', '_' and '-', got \"a/b\"; try study=my_study",
    "data=/path/images": "data must be one of ..., got '/path/images'; try data=image_folder data.root=/path/images",
    "data=/path/labels.csv": "data must be one of ..., got '/path/labels.csv'; try data=table "
    "data.table=/path/labels.csv",
    "data.classes=[true,8]": "data.classes must name classes of the data, got 'true'; did you mean 9? "
    'try \'data.classes=["9","8"]\'',
    "recipe.batch_size=1": "recipe.batch_size must give each device 2 images or more, over which mobilenet_v2 "
    "normalises, got 1 on 1; try recipe.batch_size=2",
    "recipe.batch_size=2 trainer.devices=2 trainer=cpu": "recipe.batch_size must give each device 2 images or more, "
    "over which mobilenet_v2 normalises, got 2 on 2; try recipe.batch_size=4",
    "fraction=[": "an override must be written name=value, got 'fraction=['; try fraction=0.25",
    "colour=[": "an override must be written name=value, got 'colour=['; quote what is special: 'name=\"a b\"'",
    "fraction": "an override must be written name=value, got 'fraction'; try fraction=0.25",
    "seed=1 extra": "an override must be written name=value, got 'extra'; leave it out",
    # as other tools would have it
    "model=vit": "model must be one of ..., got 'vit'; try model=timm model.name=vit_base_patch16_224",
    "model=ResNet50": "model must be one of ..., got 'ResNet50'; try model=resnet50",
    "data=cifar": "data must be one of ..., got 'cifar'; try data=cifar10",
    "data=~/photos": "an override must be written name=value, got 'data=~/photos'; try data=image_folder "
    "'data.root=\"~/photos\"'",
    "lr=0.1": "lr must be a key of conf/, got an unknown one; try recipe.optimiser.lr=0.1",
    "batch_size=8": "batch_size must be a key of conf/, got an unknown one; try recipe.batch_size=8",
    "gpus=2": "gpus must be a key of conf/, got an unknown one; try trainer.devices=2",
    "seeds=3": "seeds must be a key of conf/, got an unknown one; try -m seed=0,1,2",
    "seeds=0,1": "seeds must be a key of conf/, got an unknown one; try -m seed=0,1",
    "model.pretrained=true": "model.pretrained must be a key of conf/, got an unknown one; try model.weights=imagenet",
    "wandb=false": "wandb must be a key of conf/, got an unknown one; try logger=csv",
    "--epochs 3": "the command line must be options and name=value pairs, got: unrecognized arguments: --epochs; try "
    "epochs=3",
    "fraction=50%": 'fraction must be a number above 0 and at most 1, got "50%"; try fraction=0.5',
    "fraction=0.1 0.2": "an override must be written name=value, got '0.2'; try -m fraction=0.1,0.2",
    "fraction=0.1, 0.2": "an override must be written name=value, got 'fraction=0.1,'; try -m fraction=0.1,0.2",
    "fraction=[0.1, 0.2]": "an override must be written name=value, got 'fraction=[0.1,'; try -m fraction=0.1,0.2",
    "fraction==0.1": "an override must be written name=value, got 'fraction==0.1'; try fraction=0.1",
    "-m fraction=0.1;0.2": "an override must be written name=value, got 'fraction=0.1;0.2'; try -m fraction=0.1,0.2",
    "-m seed=0-2": 'seed must be a whole number of at least 0, got "0-2"; try -m seed=0,1,2',
    "fraction 0.1 0.2": "an override must be written name=value, got 'fraction'; try -m fraction=0.1,0.2",
    "data=[digits]": "data must be one of ..., got 'digits'; try data=digits",
    "data=digits,": "an override must be written name=value, got 'data=digits,'; try data=digits",
    "resume=true": "resume must be a key of conf/, got an unknown one; leave it out: runs resume by themselves",
    "debug=true": "debug must be a key of conf/, got an unknown one; try --debug",
    "jobs=2": "jobs must be a key of conf/, got an unknown one; try sweep.parallel=2",
    "name=mine": "name must be a key of conf/, got an unknown one; try study=mine",
    "trainer=cuda": "trainer must be one of auto, cpu, ddp, gpu, got 'cuda'; try trainer=gpu",
    "trainer=2": "trainer must be one of auto, cpu, ddp, gpu, got '2'; try trainer.devices=2",
    "trainer.devices=all": 'trainer.devices must be auto or a whole number of at least 1, got "all"; try '
    "trainer.devices=auto",
    "trainer.precision=fp16": 'trainer.precision must be auto, 32, 16-mixed, bf16-mixed or 64, got "fp16"; try '
    "trainer.precision=16-mixed",
    "hydra/sweeper=ax": "hydra/sweeper must be one that is installed, got 'ax'; type pip install hydra-ax-sweeper",
    "hydra/launcher=joblib": "hydra/launcher must be datavol (this machine), slurm_cpu, slurm_gpu, submitit_slurm, got "
    "'joblib'; leave it out: sweep.parallel says how many runs train at once",
    "-m --cfg job fraction=0.1,0.2": "--cfg must be asked of one run, got -m, which asks for several; try without -m",
    "--config-dir nowhere model=mine": "--config-dir must be a folder with model/, recipe/ or the like, got nowhere; "
    "check the path",
    "seed=1 -m fraction=0.1,7": FRACTION.format("7").replace("0.25", "0.07"),
    "fraction=0.1,7 -m": FRACTION.format("7").replace("0.25", "0.07"),
    "logger.job_type=report": "logger.job_type must be a kind of run other than report, which marks uploaded reports, "
    'got "report"; try logger.job_type=train',
    "objective=top1": "objective must be a column of metrics.csv such as val/top1, or of the best evaluation, "
    'best/val/top1, got "top1"; try objective=val/top1',
    "trainer.log_every_n_steps=0": "trainer.log_every_n_steps must be iterations between two points of the training "
    "loss, at least 1, got 0; try trainer.log_every_n_steps=50",
    "hydra/sweeper=optuna fraction=0.1,0.2 -m": "hydra.sweeper.direction must be maximize for objective=val/top1, got "
    "minimize; try hydra.sweeper.direction=maximize",
    "-m hydra/sweeper=optuna hydra/launcher=basic fraction=0.1,0.2": "hydra/launcher must be datavol or one of SLURM's "
    "beside a sweeper that makes its jobs up, got ...; leave hydra/launcher out",
    "experiment=nope": "experiment must be one of ..., got 'nope'; leave experiment out, or try experiment=",
    # of groups
    r"data=image_folder data.root=x 'data.group=(clip\d+)_'": "data.root must be a folder, got x",
    "data=image_folder data.root=x 'data.group=[^/]+'": "data.root must be a folder, got x",
    "data.group=folder": "data.group must be a key of the chosen data, got one of data=imagenet, image_folder, table, "
    "webdataset, hugging_face, own; leave data.group out, or try data=image_folder data.group=folder",
    "data=image_folder data.root=x data.group=": "data.group must be null, folder, a column of the table or a regular "
    'expression on the path, got ""; try data.group=folder',
    "draw_by=groups": "draw_by must be items without data.group, which says what belongs together, got groups; leave "
    "draw_by out",
    "data=image_folder data.root=x draw_by=groups": "draw_by must be items without data.group, which says what belongs "
    "together, got groups; try data.group=folder, or leave draw_by out",
    "data=table data.table=x data.group=folder draw_by=groups subset_file=x": "draw_by must be items when subset_file "
    "names the subset, got groups; leave draw_by out",
    # of pixels
    "data=image_folder data.root=x data.range=7": "data.range must be auto, the bits of pixels from 8 to 31, or "
    "[low,high], got 7; try data.range=12",
    "data=image_folder data.root=x data.range=[9,1]": "data.range must be auto, the bits of pixels from 8 to 31, or "
    "[low,high], got [9, 1]; try 'data.range=[0,4095]'",
    "data=image_folder data.root=x data.range=[0,1e400]": "data.range must be auto, the bits of pixels from 8 to 31, "
    "or [low,high], got [0, Infinity]; try 'data.range=[0,4095]'",
    "data=image_folder data.root=x data.range=12bit": "data.range must be auto, the bits of pixels from 8 to 31, or "
    '[low,high], got "12bit"; try data.range=12',
    "data=image_folder data.root=x data.alpha=red": "data.alpha must be white, black, a colour such as [128,128,128], "
    'or drop, got "red"; try data.alpha=drop',
    "data=image_folder data.root=x data.exif=no": 'data.exif must be apply or ignore, got "no"; try data.exif=ignore',
    # of data, networks and machines
    "fraction=0.001": "fraction must leave every class at least one image, got 0.001, which leaves none of the 139 of "
    "class 8 and of 9 more; try fraction=0.004",
    "draw=disjoint fraction=0.25 draw_seed=4": "draw_seed must be at most 2 with draw=disjoint and "
    "fraction=0.25, got 4; try draw_seed=2 or a smaller fraction",
    "recipe.batch_size=2048": "recipe.batch_size must be at most the 1438 images of a budget epoch, got 2048; "
    "try recipe.batch_size=1024",
    "data=image_folder data.root=nowhere": "data.root must be a folder, got nowhere",
    "data=image_folder 'data.root=/archive (1)'": "data.root must be a folder, got /archive (1)",
    "data=image_folder data.root=~/nowhere": "data.root must be a folder, got /",
    "data=image_folder data.root=/nowhere=é[1]": "data.root must be a folder, got /nowhere=é[1]",
    "data=image_folder 'data.root=/a, b'": "data.root must be one value without -m, got data.root=/a, b; try -m "
    "'data.root=/a, b', or 'data.root=\"/a, b\"' if it is one",
    "data=image_folder data.root=/my photos": "an override must be written name=value, got 'photos'; try "
    "'data.root=\"/my photos\"'",
    "data=image_folder data.root=2024": "data.root must be a folder, got 2024",
    "start_from=~/nowhere.ckpt": "start_from must be a checkpoint's file, got /",
    "data=/photos": "data must be one of ..., got '/photos'; try data=image_folder data.root=/photos",
    "model.weights=imagenet": "model.weights must be weights that are here, got imagenet, and mobilenet_v2 of "
    "torchvision is not in ...",
    "model.weights=pretrained": "model.weights must be a file, got pretrained; try model.weights=null, or "
    "model.weights=imagenet",
    "recipe=fine_tune model.weights=null": "model.weights must be given with recipe=fine_tune, which starts from "
    "pretrained ones, got null; try model.weights=imagenet, or recipe=small from scratch",
    "recipe=frozen recipe.weights=null recipe.augment.flip=0.5": "recipe.augment.flip must be 0 with "
    "recipe.on_features, which sees whole images, got 0.5; try recipe.augment.flip=0 or recipe=fine_tune",
    "data=image_folder data.root=x data.folds=5 data.val_fraction=0.2": "data.val_fraction must be null with "
    "data.folds, got 0.2; leave one of them out",
    "data=image_folder data.root=x data.folds=5 data.fold=5": "data.fold must be below data.folds (5), got 5; try "
    "data.fold=0",
    "data=image_folder data.root=x data.fold=1": "data.fold must be 0 without data.folds, got 1; try data.fold=0",
    "start_from=nowhere.ckpt": "start_from must be a checkpoint's file, got nowhere.ckpt; check the path",
    "subset_file=list.txt": "subset_file must be a text file with one index or path per line, got list.txt; "
    "check the path",
    "logger.mode=online": "logger.mode must be auto or offline unless you are logged in to W&B, got online; "
    "try `wandb login`, or logger.mode=offline",
    "data=fashion_mnist": "data.root must hold",
    "model=timm model.name=vit_tiny_patch16_224 logger=csv": "recipe.augment.crop_size must be a size that "
    "vit_tiny_patch16_224 takes",
    "model=timm model.name=densenet12 logger=csv": "model.name must be a network of timm, got 'densenet12'; "
    "try model.name=dense",
    "trainer=ddp recipe.batch_size=64": "trainer.devices must be at most the 0 GPUs of this machine, got 4 (",
}


HERE = (
    "/",
    *("vit_base", "data=cifar10", "model.weights=imagenet", "trainer=gpu"),  # of larger images, a GPU
    "experiment=",
    "data.classes=[",
    "data.root=x",
    *("data.range=", "data.alpha=", "data.exif="),  # of a folder that is not here
    "data.table=x",
    "data.group=",
    "data=fashion_mnist",
    "model.weights=",
    "data.fold",
    "model.name=resnet51",
    "model.name=mobilenetv2_100",
    "wandb",
)
"""Remedies with what only somebody else has: a folder, the network's weights, an account."""


def checked(words: list[str]) -> str:
    """Check a command line as `run` does; return the mistake, or nothing."""
    try:
        arguments = parse(words)
        check_runs(compose(arguments.overrides, multirun=arguments.multirun))
    except ConfigError as error:
        return str(error)
    return ""


def remedies_of(line: str) -> list[list[str]]:
    """List what a message says to type, each as words."""
    found = [shlex.split(one) for one in re.split(r",? or ", line.rstrip().partition("; try ")[2])]
    return [[word for word in words if "=" in word or word == "-m"] for words in found if "=" in "".join(words)]


def name_of(word: str) -> str:
    return word.partition("=")[0].strip("+~-")


def put_in(words: list[str], remedy: list[str], mistaken: str) -> list[str]:
    """Put a remedy in the place of what it replaces."""
    replaced = {mistaken, *map(name_of, remedy)}
    kept = [
        word for word in words if name_of(word) not in replaced and ((word[0] != "=" and "=" in word) or word == "-m")
    ]
    return [*dict.fromkeys([*remedy, *kept])]


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written_and_its_remedies_work(arguments, elsewhere, monkeypatch, capsys):
    words = shlex.split(arguments)
    monkeypatch.setattr(sys, "argv", ["run", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    pattern = re.escape(f"datavol: {MISTAKES[arguments]}").replace(r"\.\.\.", ".+")  # any list of choices
    assert re.match(pattern, said.err), said.err
    assert said.err.count("\n") == 1
    assert (said.out, ended.value.code) == ("", 2)
    assert list(elsewhere.iterdir()) == []
    for remedy in remedies_of(said.err):
        if not any(one in " ".join(remedy) for one in HERE):
            assert checked(put_in(words, remedy, name_of(said.err.split()[1]))) == "", f"{said.err}: {remedy}"


def choices(group: str) -> str:
    return ", ".join(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


def test_a_choice_that_is_not_there_is_answered_with_all_that_are(command):
    assert f" one of {choices('recipe')}, got 'nope'" in command("run", "recipe=nope").stderr


@pytest.mark.parametrize("arguments", [["--help"], ["fractoin=1"], ["-m", "fraction=0.1,2"]])
def test_help_and_mistakes_of_the_configuration_are_answered_without_torch(arguments, elsewhere):
    """Its import takes seconds; `python -m benchmarks.start_up` prints how many the answers take."""
    code = (
        "import sys; from datavol.run import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'lightning', 'timm', 'sklearn', 'wandb'} & set(sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=elsewhere)
    assert "AssertionError" not in answer.stderr


def test_help_shows_groups_keys_and_examples(command):
    text = command("run", "--help").stdout

    for shown in (f"model={choices('model')}", "python -m datavol.run -m model=resnet50", "--config-dir DIR"):
        assert shown in text
    assert max(map(len, text.splitlines())) < 80
    leaves = [key for key in all_keys() if not any(other.startswith(f"{key}.") for other in all_keys())]
    assert [key for key in leaves if not re.search(rf"^  {re.escape(key)}(\s|$)", text, re.MULTILINE)] == []


GOOD = "n,value\n100,0.5\n200,0.6\n400,0.7\n"
ACCURACY = "--metric accuracy --guess 0.1"
BAD_POINTS = {
    "no metric": (GOOD, "", "--metric must be given with a CSV file, got nothing; try --metric accuracy, or error, or"),
    "unknown metric": (GOOD, "--metric quality", "metric must be one of accuracy, top-1, ..., or come with the better "
                       "values, got quality; try --better higher, or --better lower"),
    "the other way": (GOOD, "--metric error --better higher", "better must be lower for error, got higher; leave it "
                      "out"),
    "no guess": (GOOD, "--metric accuracy", "guess must be the accuracy that always guessing gives, got nothing, and "
                 "accuracy does not say; of ten equally common classes it is --guess 0.1"),
    "no guess of an error": (GOOD.replace("0.", "1"), "--metric error --percent", "guess must be the error ... "
                      "classes it "
                             "is --guess 90"),
    "guess in per cent": (GOOD, "--metric accuracy --guess 10", "guess must be a share at least 0 and below 1, got 10; "
                          "try --guess 0.1"),
    "guess 1": (GOOD, "--metric accuracy --guess 1", "guess must be a share at least 0 and below 1, got 1; try "
                      "--guess 0"),
    "guess of no error": (GOOD, "--metric error --guess 0", "guess must be a share above 0 and at most 1, got 0; try "
                          "--guess 1"),
    "guess NaN": (GOOD, "--metric accuracy --guess nan", "guess must be a share at least 0 and below 1, got nan; try"),
    "missing column": ("n,acc\n1,2\n", ACCURACY, "p.csv must have the columns n and value, got n, acc; name one value"),
    "no header": ("100,0.5\n200,0.6\n", ACCURACY, "p.csv must have the columns n and value, got 100, 0.5; name one "
                      "n in"),
    "column twice": ("n,value,n\n1,2,3\n", ACCURACY, "p.csv must have each column once, got n, value, n; rename one"),
    "nearly seed": (GOOD.replace("value", "value,seeds").replace("\n1", "\n1"), ACCURACY, "p.csv must have no other "
                    "columns like seed or curve, got seeds; name it seed"),
    "nothing": ("", ACCURACY, "p.csv must hold the columns n and value, got an empty file; write a line per training"),
    "header alone": ("n,value\n", ACCURACY, "points must hold a line per training run, got none; write n and value of"),
    "NaN": (GOOD + "800,nan\n", ACCURACY, "value must be numbers, got 'nan' in line 5; leave the line out"),
    "infinite": (GOOD + "800,inf\n", ACCURACY, "value must be numbers, got 'inf' in line 5; leave the line out"),
    "no value": (GOOD + "800,\n", ACCURACY, "value must be numbers, got nothing in line 5; leave the line out"),
    "text": (GOOD + "many,0.8\n", ACCURACY, "n must be whole numbers of training images above 0, got 'many' in line 5"),
    "per cent sign": (GOOD + "800,80%\n", ACCURACY, "value must be numbers, got '80%' in line 5; leave % out, and try"),
    "thousands": (GOOD + '"1,200",0.8\n', ACCURACY, "n must be ..., got '1,200' in line 5; write decimals with a "
                      "point, "
                  "and no commas"),
    "n of 0": (GOOD + "0,0.8\n", ACCURACY, "n must be whole numbers of training images above 0, got 0 in line 5"),
    "half an image": (GOOD + "1.5,0.8\n", ACCURACY, "n must be whole numbers of training images above 0, got 1.5 in "
                      "line"),
    "n below 0": (GOOD + "-5,0.8\n", ACCURACY, "n must be whole numbers of training images above 0, got -5 in line 5"),
    "value below 0": (GOOD + "800,-0.1\n", ACCURACY, "value must be a share from 0 to 1, got -0.1 in line 5; accuracy "
                      "below 0 has no place on a learning curve"),
    "per cent unsaid": (GOOD + "800,80\n", ACCURACY, "value must be a share from 0 to 1, got 80 in line 5; values "
                      "in per "
                        "cent take --percent"),
    "per cent wrongly said": (GOOD, f"{ACCURACY} --percent", "value must be per cent from 0 to 100 with --percent, got "
                              "none above 0.7; if they are shares, leave --percent out"),
    "above 100": (GOOD + "800,101\n", f"{ACCURACY} --percent", "value must be per cent from 0 to 100, got 101 in "
                      "line 5"),
    "word error rate": (GOOD + "50,1.2\n", "--metric WER", "value must be a share from 0 to 1, got 1.2 in line 5; "
                      "values "
                        "in per cent take --percent; forecasts need a largest value, which a loss, or an error rate "
                        "that goes above 1, lacks: leave such lines out"),
    "loss": (GOOD + "50,2.3\n", "--metric loss --better lower --guess 1", "value must be a share from 0 to 1, got 2.3"),
    "one size": ("n,value\n100,0.5\n100,0.6\n", ACCURACY, "n must hold at least 3 distinct sizes of a curve, got 1 "
                      "(100); "
                 "train on more subsets"),
    "two sizes": ("n,value\n100,0.5\n200,0.6\n", ACCURACY, "n must hold at least 3 distinct sizes of a curve, got 2 "
                      "(100 "
                  "and 200); train on more subsets"),
    "a line twice": (GOOD + "400,0.7\n", ACCURACY, "n must have a value once, got line 5 again (400 images); leave one "
                     "out, or add a column seed if they are two runs"),
    "a seed twice": ("n,value,seed\n1,0.5,0\n1,0.6,0\n", ACCURACY, "n must have a seed once, got line 3 again (1 "
                      "images); "
                     "leave one out"),
    "a seed missing": ("n,value,seed\n1,0.5,0\n2,0.6,\n", ACCURACY, "seed must be given in every line, got nothing in"),
    "a long name": ("n,value,curve\n1,0.5," + "x" * 61 + "\n", ACCURACY, "curve must be at most 60 letters long, got "
                    "61 in line 2; shorten it"),
    "semicolons": (GOOD.replace(",", ";").replace(".", ","), ACCURACY, "p.csv must have commas between its columns and "
                   "points in its decimals, got semicolons; save it so"),
    "tabs": (GOOD.replace(",", "\t"), ACCURACY, "p.csv must have commas ..., got tabs; save it so"),
    "decimal commas": ("n,value\n100,0,5\n", ACCURACY, "p.csv must hold 2 values in line 2, as its first line does, "
                      "got 3; "
                       "decimals are written with a point, as in 0.85"),
    "open quotes": ('n,value\n"100,0.5\n', ACCURACY, "p.csv must be a CSV file, got: unexpected end of data; save "
                      "it as"),
    "UTF-16": (GOOD.encode("utf-16"), ACCURACY, "p.csv must be text in UTF-8, got other bytes; save it as CSV"),
    "delta of a study": (GOOD, f"{ACCURACY} --delta 1", "--delta must be a share, as the values are, above 0 and "
                      "below 1, "
                         "got 1; try --delta 0.01"),
    "target of a study": (GOOD, f"{ACCURACY} --target 90", "--target must be a share, as the values are, above 0 "
                      "and below "
                          "1, got 90; try --target 0.9"),
    "target as a share": (GOOD.replace("0.", "1"), "--metric accuracy --guess 10 --percent --target 0.9", "--target "
                      "must "
                          "be per cent, as the values are, got 0.9; try --target 90"),
    "test images of a mean": (GOOD, "--metric mAP --test-size 100", "test_size must be left out unless the value is a "
                              "share of test images, as accuracy and error are, got it with mAP"),
    "no test images": (GOOD, f"{ACCURACY} --test-size 0", "test_size must be at least 1 image, got 0; leave it out "
                      "if it"),
    "less than is there": (GOOD, f"{ACCURACY} --full-size 399", "full_size must be at least the largest n, 400, got "
                      "399"),
    "W&B": (GOOD, f"{ACCURACY} --wandb", "--wandb must be left out with a CSV file, which has no group on W&B, got it"),
    "two files": (GOOD, f"p.csv {ACCURACY}", "a CSV file must be reported alone, got 2; put their curves into one "
                      "file, "
                  "with a column curve"),
    "a study beside": (GOOD, f"study {ACCURACY}", "a CSV file must be reported alone, got p.csv beside a study's "
                      "folder"),
}  # fmt: skip
"""Files of points, what is typed after `datavol.report p.csv`, and the answer."""


@pytest.mark.parametrize("case", BAD_POINTS)
def test_a_mistake_in_a_file_of_points_is_one_line_and_nothing_is_written(case, elsewhere, monkeypatch, capsys):
    from datavol.report import main as report

    content, arguments, line = BAD_POINTS[case]
    (elsewhere / "p.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (elsewhere / "study").mkdir()
    monkeypatch.setattr(sys, "argv", ["report", "p.csv", *shlex.split(arguments)])
    with pytest.raises(SystemExit) as ended:
        report()
    said = capsys.readouterr()
    assert re.match(re.escape(f"datavol: {line}").replace(r"\.\.\.", ".+"), said.err), said.err
    assert said.err.count("\n") == 1
    assert (said.out, ended.value.code) == ("", 2)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["p.csv", "study"]


def test_what_is_no_file_of_points_is_one_line_as_well(elsewhere, monkeypatch, capsys):
    from datavol.report import main as report

    (elsewhere / "curves").mkdir()
    (elsewhere / "curves/a.csv").write_text(GOOD)
    for arguments, line in {
        "curves": "a study must be a folder with runs in it, got curves; it holds CSV files, each of which is reported "
        "alone: try curves/a.csv",
        "nowhere.csv --metric mAP": "nowhere.csv must be a file to read, got: No such file or directory; check its "
        "path",
        "curves --guess 0.1": "--guess must be left out with a study's folder, whose records say it, got it; leave it",
        "curves/a.csv --metric": "the command line must be as --help says",
    }.items():
        monkeypatch.setattr(sys, "argv", ["report", *arguments.split()])
        with pytest.raises(SystemExit, match="2"):
            report()
        said = capsys.readouterr().err
        assert said.startswith(f"datavol: {line}"), said
        assert said.count("\n") == 1
