//! A bootable 64-bit ARM board for the tests: Debian's kernel, and a file system with busybox, the
//! kernel's modules for a simulated camera and a network card, and the Debian package of
//! residua-edge, installed by dpkg.
//!
//! Kernel and busybox come from Debian's archive of the machine's own release through apt, with
//! lists, status and cache in the target folder: the machine's own packages stay as they are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    package,
    run::{output, run},
    workspace::Workspace,
};

/// The environment variable through which tests find the board.
pub const VARIABLE: &str = "RESIDUA_BOARD";

const ARCHITECTURE: &str = "arm64";

/// The modules that the board loads, and with them what they need.
const MODULES: &[&str] = &["virtio_mmio", "virtio_net", "vivid"];

/// Where they are among the kernel's.
const MODULE_FOLDERS: &[&str] = &[
    "drivers/media",
    "drivers/net/net_failover.ko*",
    "drivers/net/virtio_net.ko*",
    "drivers/virtio",
    "net/core",
];

/// What the program is linked to, from the cross compiler's packages.
const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
];

/// The board: `vmlinuz`, and `root`, the folder of its files.
pub fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("board")
}

/// Builds the board, with the package that there is.
pub fn build(workspace: &Workspace) -> Result<()> {
    let board = folder(workspace);
    let debian = board.join("debian");
    if debian.join("complete").exists() {
        println!("{} is there", debian.display());
    } else {
        if debian.exists() {
            fs::remove_dir_all(&debian)?;
        }
        download(workspace, &debian)?;
        fs::write(debian.join("complete"), "")?;
    }
    let root = board.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for name in ["bin", "lib", "modules", "usr/bin", "var/lib/dpkg"] {
        fs::create_dir_all(root.join(name))?;
    }
    copy(&debian.join("bin/busybox"), &root.join("bin/busybox"))?;
    for name in LIBRARIES {
        let library = Path::new("/usr/aarch64-linux-gnu/lib").join(name);
        copy(&library, &root.join("lib").join(name))?;
    }
    install_modules(&debian, &root.join("modules"))?;
    run(workspace
        .command("aarch64-linux-gnu-gcc")
        .args(["-O1", "-Wall", "-Werror", "-static", "-o"])
        .arg(root.join("usr/bin/camera-control"))
        .arg("edge/device/tests/board/camera_control.c"))?;
    install_package(workspace, &root)
}

/// Fetches and unpacks what Debian has.
fn download(workspace: &Workspace, debian: &Path) -> Result<()> {
    let state = debian.join("apt");
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(name))?;
    }
    let config = state.join("apt.conf");
    let at = state.display();
    fs::write(state.join("status"), "")?;
    fs::write(
        &config,
        format!(
            "APT::Architecture \"{ARCHITECTURE}\";\nAPT::Architectures {{ \"{ARCHITECTURE}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             Dir::State \"{at}\";\nDir::State::Lists \"{at}/lists\";\n\
             Dir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n"
        ),
    )?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(debian).env("APT_CONFIG", &config);
        command
    };
    run(apt("apt-get").args(["update", "-q"]))?;
    let shown = ["show", "--no-all-versions", "linux-image-arm64"];
    let shown = output(apt("apt-cache").args(shown))?;
    let kernel = kernel_package(&shown).with_context(|| {
        format!("linux-image-arm64 names no kernel; is this machine's apt one of Debian?\n{shown}")
    })?;
    run(apt("apt-get").args(["download", "-q", kernel, "busybox-static"]))?;
    let all = |patterns: &[String]| patterns.to_vec();
    let boot = "./boot/vmlinuz-*".to_owned();
    let modules = MODULE_FOLDERS
        .iter()
        .map(|folder| format!("./lib/modules/*/kernel/{folder}"));
    let wanted: Vec<String> = modules.chain([boot]).collect();
    unpack(workspace, &package_file(debian, kernel)?, debian, &wanted)?;
    let busybox = package_file(debian, "busybox-static")?;
    unpack(workspace, &busybox, debian, &all(&["./bin/busybox".into()]))?;
    let kernel = only(&debian.join("boot"), "vmlinuz-")?;
    copy(&kernel, &folder(workspace).join("vmlinuz"))?;
    // Newer kernels come with compressed modules.
    let find = "find . -name '*.ko.xz' -exec xz --decompress {} +";
    run(Command::new("sh").current_dir(debian).args(["-c", find]))
}

/// The package that `linux-image-arm64` stands for.
fn kernel_package(shown: &str) -> Option<&str> {
    let depends = shown
        .lines()
        .find_map(|line| line.strip_prefix("Depends: "))?;
    let name = depends.split([' ', ',']).next()?;
    name.starts_with("linux-image-").then_some(name)
}

fn package_file(folder: &Path, package: &str) -> Result<PathBuf> {
    only(folder, &format!("{package}_"))
}

/// The one file whose name begins so.
fn only(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    ensure!(
        found.len() == 1,
        "{}: {} files begin with {prefix}",
        folder.display(),
        found.len()
    );
    Ok(found.remove(0))
}

/// Unpacks the files of a package that fit the patterns.
fn unpack(workspace: &Workspace, package: &Path, into: &Path, patterns: &[String]) -> Result<()> {
    let mut reader = workspace
        .command("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stream = reader.stdout.take().context("dpkg-deb has no output")?;
    let unpacked = run(workspace
        .command("tar")
        .args(["--extract", "--no-same-owner", "--wildcards", "--directory"])
        .arg(into)
        .args(patterns)
        .stdin(stream));
    let status = reader.wait()?;
    unpacked?;
    ensure!(
        status.success(),
        "{}: dpkg-deb ended with {status}",
        package.display()
    );
    Ok(())
}

/// Copies the modules, and lists them in the order in which they can be loaded.
fn install_modules(debian: &Path, into: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    collect(&debian.join("lib/modules"), &mut files)?;
    let mut order = Vec::new();
    for name in MODULES {
        let known = files.contains_key(*name);
        ensure!(known, "Debian's kernel has no module {name}");
        add(name, &files, &mut order)?;
    }
    for name in &order {
        copy(&files[name], &into.join(name).with_extension("ko"))?;
    }
    let list: String = order.iter().map(|name| format!("{name}\n")).collect();
    fs::write(into.join("order"), list)?;
    Ok(())
}

/// All modules below a folder, by their names.
fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            let stem = path.file_stem().unwrap_or_default();
            files.insert(module_name(&stem.to_string_lossy()), path);
        }
    }
    Ok(())
}

/// Adds a module behind those that it needs. One that there is no file of is built into the kernel,
/// or else loading fails by its name.
fn add(name: &str, files: &BTreeMap<String, PathBuf>, order: &mut Vec<String>) -> Result<()> {
    let Some(file) = files.get(name).filter(|_| !order.iter().any(|n| n == name)) else {
        return Ok(());
    };
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    for needed in needs(&bytes) {
        add(&needed, files, order)?;
    }
    order.push(name.to_owned());
    Ok(())
}

/// What a module says that it needs.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else {
        return Vec::new();
    };
    let rest = &module[at + KEY.len()..];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
    let names = String::from_utf8_lossy(&rest[..end]);
    let names = names.split(',').filter(|name| !name.is_empty());
    names.map(module_name).collect()
}

/// The kernel takes both signs for one.
fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Has dpkg install the package. What it depends on is there, but not as packages.
fn install_package(workspace: &Workspace, root: &Path) -> Result<()> {
    let dpkg = || {
        let mut command = workspace.command("dpkg");
        command.arg(format!("--root={}", root.display()));
        command
    };
    for name in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(name), "")?;
    }
    for name in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(name))?;
    }
    run(dpkg().args(["--add-architecture", ARCHITECTURE]))?;
    let package = package::file(workspace, ARCHITECTURE);
    run(dpkg().args(["--force-depends", "--install"]).arg(&package))?;
    let format = "--showformat=${db:Status-Abbrev}${Conffiles}";
    let status = output(
        workspace
            .command("dpkg-query")
            .arg(format!(
                "--admindir={}",
                root.join("var/lib/dpkg").display()
            ))
            .args(["--show", format, "residua-edge"]),
    )?;
    ensure!(
        status.starts_with("ii ") && status.contains("/etc/residua/residua-edge.toml"),
        "{}: dpkg says `{status}` of it once it is installed",
        package.display()
    );
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_behind_the_name_is_found() {
        let shown = "Package: linux-image-arm64\n\
                     Depends: linux-image-6.1.0-56-arm64 (= 6.1.192-2)\n";
        assert_eq!(kernel_package(shown), Some("linux-image-6.1.0-56-arm64"));
        assert_eq!(kernel_package("Depends: libc6\n"), None);
        assert_eq!(kernel_package(""), None);
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        assert_eq!(needs(b"ELF\0depends=mc,v4l2-tpg\0x"), ["mc", "v4l2_tpg"]);
        assert!(needs(b"ELF\0depends=\0x").is_empty());
        assert!(needs(b"ELF").is_empty());
        let folder = std::env::temp_dir().join(format!("residua-modules-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in [
            ("top.ko", &b"\0depends=mid-dle,builtin\0"[..]),
            ("mid-dle.ko", b"\0depends=low\0"),
            ("low.ko", b"\0depends=\0"),
        ] {
            fs::write(folder.join(name), content).unwrap();
        }
        let (mut files, mut order) = (BTreeMap::new(), Vec::new());
        collect(&folder, &mut files).unwrap();
        for name in ["low", "top", "mid_dle"] {
            add(name, &files, &mut order).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(order, ["low", "mid_dle", "top"]);
    }
}
