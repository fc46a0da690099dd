//! `cargo xtask models`: trains, calibrates, exports and measures the models that ship in `models/`,
//! by the commands that a user would type, and writes them into their cards.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    run::{output, run as run_command},
    workspace::Workspace,
};

/// The images that a model learns from.
enum Images {
    /// A family of the program's own generator, and the options of `residua synth`.
    Synthetic(&'static str),
    /// DAGM 2007, class 8, in the MVTec layout.
    Dagm,
}

/// How a model is made.
struct Recipe {
    /// The model's folder in `models/`.
    name: &'static str,
    images: Images,
    /// Options of `residua train`.
    train: &'static str,
    /// Options of `residua calibrate`.
    calibrate: &'static str,
}

impl Recipe {
    const fn synthetic(name: &'static str, family: &'static str, train: &'static str) -> Self {
        Self {
            name,
            images: Images::Synthetic(family),
            train,
            calibrate: "--false-alarms 0.01",
        }
    }

    const fn dagm(name: &'static str, train: &'static str) -> Self {
        Self {
            name,
            images: Images::Dagm,
            train,
            // The cracks are far above what good images show.
            calibrate: "--false-alarms 0.01 --guard 0.25",
        }
    }
}

const EDGE: &str = "--preset edge --skips all --epochs 16";
const EDGE_SMALL: &str = "--preset edge-small --skips all --epochs 16";
const EDGE_TINY: &str = "--preset edge-tiny --skips all --epochs 16";
const PAPER: &str = "--preset paper --objective repair --epochs 12";

const RECIPES: &[Recipe] = &[
    Recipe::synthetic("brushed-edge", "brushed", EDGE),
    Recipe::synthetic("brushed-edge-small", "brushed", EDGE_SMALL),
    Recipe::synthetic("brushed-edge-tiny", "brushed", EDGE_TINY),
    Recipe::synthetic("brushed-paper", "brushed", PAPER),
    Recipe::synthetic("cloth-edge", "cloth", EDGE),
    Recipe::synthetic("cloth-edge-small", "cloth", EDGE_SMALL),
    Recipe::synthetic("cloth-edge-tiny", "cloth", EDGE_TINY),
    Recipe::synthetic("steel-edge", "steel", EDGE),
    Recipe::synthetic("steel-edge-small", "steel", EDGE_SMALL),
    Recipe::synthetic("steel-edge-tiny", "steel", EDGE_TINY),
    Recipe::dagm(
        "dagm8-edge-small",
        "--preset edge-small --objective mse --epochs 4 --gain 0.3",
    ),
    Recipe::dagm(
        "dagm8-edge",
        "--preset edge --objective mse --epochs 4 --gain 0.3",
    ),
];

/// How many images of each part `residua synth` makes for a model.
const SYNTH: &str = "--train 320 --good 200 --per-kind 40";

/// The folder of DAGM's class 8, as the commands have it.
const DAGM: &str = "dagm_class8";

const DAGM_SOURCE: &str = "\
The images are class 8 of DAGM 2007 (M. Wieler and T. Hahn, \"Weakly supervised learning for industrial \
optical inspection\", Zenodo, record 8086136), licensed under CC BY 4.0; the model was trained on them \
and is licensed as this project is. Of the benchmark's training half, 240 good images were to learn \
from (training, validation and calibration), 60 good and 100 with a crack to test with.";

/// Makes the models of these names, all where there are none. Those trained on DAGM need its folder.
pub fn run(names: &[String], dagm: Option<&Path>) -> Result<()> {
    let workspace = Workspace::of_this_program();
    for name in names {
        let known = RECIPES.iter().map(|recipe| recipe.name);
        ensure!(
            known.clone().any(|known| known == name),
            "no model is called `{name}`; there are: {}",
            known.collect::<Vec<_>>().join(", ")
        );
    }
    let wanted = |recipe: &&Recipe| names.is_empty() || names.iter().any(|n| n == recipe.name);
    let recipes: Vec<&Recipe> = RECIPES.iter().filter(wanted).collect();
    let folder = workspace.target.join("models");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    if recipes
        .iter()
        .any(|recipe| matches!(recipe.images, Images::Dagm))
    {
        let dagm = dagm.context(
            "models of DAGM need its class 8 (README: where real images come from) in the MVTec \
             layout; give its folder by --dagm DIR",
        )?;
        let dagm = dagm
            .canonicalize()
            .with_context(|| dagm.display().to_string())?;
        let link = folder.join(DAGM);
        if link.is_symlink() {
            fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(dagm, &link)?;
    }
    run_command(&mut workspace.cargo(&["build", "--release", "--package", "residua-host"]))?;
    for recipe in recipes {
        make(&workspace, &folder, recipe).with_context(|| recipe.name.to_owned())?;
    }
    Ok(())
}

fn make(workspace: &Workspace, folder: &Path, recipe: &Recipe) -> Result<()> {
    let model = workspace.root.join("models").join(recipe.name);
    let run = format!("{}-run", recipe.name);
    for old in [folder.join(&run), folder.join(recipe.name)] {
        remove(&old)?;
    }
    let mut typed = Typed {
        workspace,
        folder,
        lines: String::new(),
    };
    let (data, source) = match recipe.images {
        Images::Synthetic(family) => {
            remove(&folder.join(family))?;
            typed.residua(&format!("synth --out {family} --family {family} {SYNTH}"))?;
            (
                family,
                "The images are made by the first command; equal seeds give equal images.",
            )
        }
        Images::Dagm => (DAGM, DAGM_SOURCE),
    };
    let start = Instant::now();
    typed.residua(&format!("train --data {data} --out {run} {}", recipe.train))?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    typed.residua(&format!("calibrate {run} {}", recipe.calibrate))?;
    let name = recipe.name;
    typed.residua(&format!("export {run} --out {name}"))?;
    typed.residua(&format!("eval {name} --data {data} --card {name}/card.md"))?;

    // Only what is whole is put in the place of what was there.
    let card = folder.join(name).join("card.md");
    let mut text = fs::read_to_string(&card).with_context(|| card.display().to_string())?;
    let commit = output(
        workspace
            .command("git")
            .args(["rev-parse", "--short", "HEAD"]),
    )?;
    let _ = write!(
        text,
        "\n## How it was made\n\n{source}\n\n{}\n`cargo xtask models {name}{}` types these. Here training \
         took {minutes:.0} minutes on {}, with the code of commit {}. The last bits of trained weights \
         depend on the processor, and with them the last digits of the figures.\n",
        typed.lines,
        if matches!(recipe.images, Images::Dagm) {
            " --dagm DIR"
        } else {
            ""
        },
        machine(),
        commit.trim(),
    );
    fs::write(&card, text).with_context(|| card.display().to_string())?;
    remove(&model)?;
    copy(&folder.join(name), &model)
}

/// What is typed, in the folder of the work.
struct Typed<'w> {
    workspace: &'w Workspace,
    folder: &'w Path,
    /// As a block of Markdown.
    lines: String,
}

impl Typed<'_> {
    fn residua(&mut self, arguments: &str) -> Result<()> {
        let _ = writeln!(self.lines, "    residua {arguments}");
        let program = self.workspace.target.join("release/residua");
        let mut command = self.workspace.command(program);
        run_command(
            command
                .args(arguments.split_whitespace())
                .current_dir(self.folder),
        )
    }
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| from.display().to_string())?;
    for entry in entries {
        let entry: PathBuf = entry?.path();
        let name = entry.file_name().context("a file's name")?;
        fs::copy(&entry, to.join(name)).with_context(|| entry.display().to_string())?;
    }
    Ok(())
}

/// The processor and how many of its threads there are.
fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    let model = model.map_or("a processor without a name", |(_, name)| name.trim());
    format!("{threads} threads of {model}")
}
