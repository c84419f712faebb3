//! What becomes of a machine's GPUs: the compiler that fits driver and architecture is taken, wherever it is, and a GPU that is
//! left out is never left out in silence. The driver is one that plays (`playing_driver/libcuda.c`), the compilers are real.

mod common;

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use common::harness::{Outcome, Requirement, needs, run};
use common::wheels;

const NASWOT: &str = env!("CARGO_BIN_EXE_naswot");
const CELL: &str =
    r#"{"space":"nasbench201","arch":"|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|"}"#;

fn main() -> ExitCode {
    if !cfg!(all(feature = "cuda", target_os = "linux")) {
        return run(Vec::new());
    }
    run(vec![
        needs(Requirement::Nvrtc, "the_compiler_fits_driver_and_architecture", compilers),
        needs(Requirement::Nvrtc, "a_compiler_is_found_where_its_installers_put_it", places),
        needs(Requirement::Nvrtc, "auto_says_why_it_is_on_the_processor", auto),
        needs(Requirement::Nvrtc, "the_first_gpu_that_works_is_taken", first),
        needs(Requirement::Nvrtc, "kernels_are_not_taken_from_where_others_may_write", safe_cache),
        needs(Requirement::Nvrtc, "advice_goes_by_the_cause", advice),
    ])
}

/// A machine: the folder of its driver, and what else its processes see.
struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Machine {
    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playing_driver/libcuda.c");
        let library = folder.path().join("libcuda.so.1");
        let compiler = wheels::c_compiler()?;
        let options = ["-shared", "-fPIC", "-Wno-builtin-declaration-mismatch"];
        let built = Command::new(compiler).args(options).arg(source).arg("-o").arg(library).output()?;
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::write(folder.path().join("cell.jsonl"), format!("{CELL}\n"))?;
        Ok(Machine { folder, variables: Vec::new() })
    }

    fn with(&self, variables: &[(&'static str, &OsStr)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["libcuda.so.1", "cell.jsonl"] {
            std::fs::copy(self.folder.path().join(file), folder.path().join(file)).expect("a copy");
        }
        let variables = variables.iter().map(|(name, value)| (*name, value.into())).collect();
        Machine { folder, variables }
    }

    fn naswot(&self, arguments: &str, gpus: &str, driver: &str) -> Result<Output, Box<dyn Error>> {
        let mut command = Command::new(NASWOT);
        command.current_dir(self.folder.path()).args(arguments.split_whitespace()).env_clear();
        command.env("LD_LIBRARY_PATH", self.folder.path()).env("NASWOT_CACHE_DIR", cache());
        // No other GPU, and no package of a user's.
        command.env("VK_DRIVER_FILES", "/nowhere.json").env("VK_ICD_FILENAMES", "/nowhere.json");
        command.env("PLAY_GPUS", gpus).env("PLAY_DRIVER", driver).env("XDG_RUNTIME_DIR", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(command.output()?)
    }

    /// The lines of `naswot devices` for CUDA.
    fn devices(&self, gpus: &str, driver: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let text = String::from_utf8(self.naswot("devices", gpus, driver)?.stdout)?;
        Ok(text.lines().filter(|line| line.starts_with("cuda")).map(str::to_owned).collect())
    }
}

/// Compiled kernels of all the tests: seconds for each architecture and version.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("playing-driver-cache")
}

/// Driver, architecture, the compilers that are there, and what `devices` says.
fn compilers() -> Outcome {
    let machine = Machine::new()?;
    let [twelve, thirteen] = [wheels::nvrtc12()?, wheels::nvrtc()?];
    let [twelve, thirteen] = [&twelve, &thirteen].map(|file| file.parent().unwrap_or(file).to_owned());
    let both = machine.folder.path().join("both");
    std::fs::create_dir(&both)?;
    for folder in [&twelve, &thirteen] {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            std::os::unix::fs::symlink(entry.path(), both.join(entry.file_name()))?;
        }
    }
    for (driver, gpu, compilers, expected) in [
        ("12020", "86", &twelve, " yes "),
        ("12020", "86", &thirteen, "is newer than the driver (CUDA 12.2)"),
        (
            "12020",
            "86",
            &thirteen,
            "update the driver to 580 or later, or run `pip install nvidia-cuda-nvrtc-cu12`",
        ),
        ("12020", "86", &both, " yes "),
        ("12020", "70", &both, " yes "),
        ("13000", "86", &twelve, " yes "),
        ("13000", "86", &thirteen, " yes "),
        (
            "13000",
            "70",
            &thirteen,
            "no longer compiles for compute capability 7.0: run `pip install nvidia-cuda-nvrtc-cu12`",
        ),
        ("13000", "70", &both, " yes "),
        (
            "13000",
            "120",
            &twelve,
            "cannot compile for compute capability 12.0: run `pip install nvidia-cuda-nvrtc`",
        ),
        ("13000", "120", &both, " yes "),
        ("12080", "120", &both, "NVRTC 12.2 ("),
        ("12080", "120", &both, "cannot compile for compute capability 12.0"),
        ("11040", "86", &both, "update the driver to 525 or later"),
        ("13000", "61", &both, "its compute capability 6.1 is too old, 7.0 is needed"),
    ] {
        let asked = machine.with(&[("NVRTC_PATH", compilers.as_os_str())]);
        let found = asked.devices(gpu, driver)?;
        let case = format!("driver {driver}, GPU {gpu}, {}: {found:?}", compilers.display());
        assert!(matches!(&found[..], [line] if line.contains(expected)), "{case}: no {expected}");
    }
    // One that is asked for and does not fit leaves the turn to the others.
    let toolkit = machine.folder.path().join("toolkit");
    std::fs::create_dir(&toolkit)?;
    std::os::unix::fs::symlink(&twelve, toolkit.join("lib64"))?;
    let asked = machine.with(&[("NVRTC_PATH", thirteen.as_os_str()), ("CUDA_PATH", toolkit.as_os_str())]);
    assert!(asked.devices("86", "12020")?[0].contains(" yes "));
    Ok(())
}

fn places() -> Outcome {
    let machine = Machine::new()?;
    let file = wheels::nvrtc()?;
    let libraries = file.parent().unwrap_or(&file).to_owned();
    let place = |folder: &str| -> Result<PathBuf, Box<dyn Error>> {
        let root = tempfile::tempdir()?.keep();
        let folder = root.join(folder);
        std::fs::create_dir_all(folder.parent().unwrap_or(&root))?;
        std::os::unix::fs::symlink(&libraries, folder)?;
        Ok(root)
    };
    for (variable, folder) in [
        ("CUDA_PATH", "lib64"),
        ("CUDA_HOME", "lib64"),
        ("CUDA_ROOT", "targets/x86_64-linux/lib"),
        ("CONDA_PREFIX", "lib"),
        ("VIRTUAL_ENV", "lib/python3.12/site-packages/nvidia/cu13/lib"),
        ("VIRTUAL_ENV", "lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib"),
        ("HOME", ".local/lib/python3.12/site-packages/nvidia/cu13/lib"),
    ] {
        let root = place(folder)?;
        let found = machine.with(&[(variable, root.as_os_str())]).devices("86", "13000")?;
        assert!(found[0].contains(" yes "), "{variable}, {folder}: {found:?}");
        std::fs::remove_dir_all(root)?;
    }
    // By the loader.
    let path = std::env::join_paths([machine.folder.path(), &*libraries])?;
    let found = machine.with(&[("LD_LIBRARY_PATH", &path)]).devices("86", "13000")?;
    assert!(found[0].contains(" yes "), "{found:?}");
    // Not in the current folder, which an empty entry means.
    let here = machine.with(&[]);
    std::fs::write(here.folder.path().join("libnvrtc.so.13"), "no library")?;
    let elsewhere = tempfile::tempdir()?;
    std::fs::copy(here.folder.path().join("libcuda.so.1"), elsewhere.path().join("libcuda.so.1"))?;
    let mut path = elsewhere.path().as_os_str().to_owned();
    path.push(":");
    let here = Machine { variables: vec![("LD_LIBRARY_PATH", path.into())], ..here };
    let found = here.devices("86", "13000")?;
    assert!(found[0].contains("NVRTC was not found") && !found[0].contains("too short"), "{found:?}");
    let bad = machine.folder.path().join("bad");
    std::fs::create_dir(&bad)?;
    std::fs::write(bad.join("libnvrtc.so.12"), "no library")?;
    for (path, expected) in
        [(&*bad, "libnvrtc.so.12: file too short"), (Path::new("/no/such"), "/no/such is no NVRTC")]
    {
        let found = machine.with(&[("NVRTC_PATH", path.as_os_str())]).devices("86", "12020")?;
        assert!(
            found[0].contains(expected) && found[0].contains("`pip install nvidia-cuda-nvrtc-cu12`"),
            "{found:?}"
        );
    }
    Ok(())
}

fn auto() -> Outcome {
    let machine = Machine::new()?;
    let file = wheels::nvrtc()?;
    let score = "score cell.jsonl --batch-size 4 --stem 2 --cells 1";
    let run = |machine: &Machine, options: &str| -> Result<String, Box<dyn Error>> {
        let output = machine.naswot(&format!("{score} {options}"), "86", "13000")?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8(output.stdout)?.contains(",cpu,"));
        Ok(String::from_utf8(output.stderr)?)
    };
    let said = run(&machine, "")?;
    let expected = "warning: cuda:0 (GPU A (CUDA 13.0)) is not used: its compiler NVRTC was not found";
    assert!(said.starts_with(expected) && said.ends_with("; this run is on the processor\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for options in ["-q", "--precision f64", "--backend cpu"] {
        assert_eq!(run(&machine, options)?, "", "{options}");
    }
    // An option goes before the variable.
    let options = format!("--nvrtc {}", file.display());
    let said = run(&machine.with(&[("NVRTC_PATH", "/no/such".as_ref())]), &options)?;
    assert!(said.contains("operation not permitted"), "{said}");
    let found = machine.with(&[("NVRTC_PATH", file.as_os_str())]);
    for (variable, code, expected) in [
        ("PLAY_CONTEXT", "46", "another process has it for itself"),
        ("PLAY_MODULE", "200", "device kernel image is invalid"),
        ("PLAY_INIT", "999", "the NVIDIA driver does not start"),
        // It opens, and has no memory to give.
        ("PLAY_NOTHING", "", "operation not permitted"),
    ] {
        let machine = found.with(&[("NVRTC_PATH", file.as_os_str()), (variable, code.as_ref())]);
        let said = run(&machine, "")?;
        assert!(said.contains(expected) && said.lines().count() == 1, "{variable}: {said}");
        if !code.is_empty() {
            let devices = machine.devices("86", "13000")?;
            assert!(devices[0].contains(" no ") && devices[0].contains(expected), "{devices:?}");
        }
    }
    Ok(())
}

/// A cubin is code: one that others may have written is not run, and none is left where they may change it.
fn safe_cache() -> Outcome {
    use std::os::unix::fs::PermissionsExt;

    let file = wheels::nvrtc()?;
    let folder = tempfile::tempdir()?;
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared)?;
    let machine = |mode: u32| -> Result<(String, usize), Box<dyn Error>> {
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(mode))?;
        let variables = [("NVRTC_PATH", file.as_os_str()), ("NASWOT_CACHE_DIR", shared.as_os_str())];
        let machine = Machine::new()?.with(&variables);
        // Of all architectures the one with the fewest kernels to compile.
        let output = machine.naswot("score cell.jsonl --backend cuda -v", "75", "13000")?;
        Ok((String::from_utf8(output.stderr)?, std::fs::read_dir(&shared)?.count()))
    };
    let (said, files) = machine(0o777)?;
    assert!(said.contains("the cache is not used: other users may write to it") && files == 0, "{said}");
    let (said, files) = machine(0o755)?;
    assert!(!said.contains("the cache is not used") && files > 0, "{said}");
    Ok(())
}

fn first() -> Outcome {
    let file = wheels::nvrtc()?;
    let machine = Machine::new()?.with(&[("NVRTC_PATH", file.as_os_str())]);
    let devices = machine.devices("61,86", "13000")?;
    assert!(devices[0].contains(" no ") && devices[1].contains(" yes "), "{devices:?}");
    // The second one opens, and has no memory to give.
    let refused = |backend: &str, gpus: &str| -> Result<String, Box<dyn Error>> {
        let output = machine.naswot(&format!("score cell.jsonl --backend {backend}"), gpus, "13000")?;
        assert_eq!(output.status.code(), Some(2));
        Ok(String::from_utf8(output.stderr)?)
    };
    assert!(refused("cuda", "61,86")?.contains("operation not permitted"));
    assert!(refused("cuda:0", "61,86")?.contains("backend cuda:0: its compute capability 6.1 is too old"));
    let none = refused("cuda", "61,52")?;
    assert!(none.contains("none of 2 GPUs can be used: cuda:0: its compute capability 6.1"), "{none}");
    assert!(refused("cuda:5", "61,86")?.contains("there is no such GPU; there are 2, counted from 0"));
    Ok(())
}

fn advice() -> Outcome {
    let machine = Machine::new()?;
    for (code, variable, expected) in [
        ("100", "", "sees no GPU: a container has to be started with `--gpus all`"),
        ("100", "7", "sees no GPU: CUDA_VISIBLE_DEVICES is `7`"),
        ("802", "", "nvidia-fabricmanager"),
        ("803", "", "of different versions: restart the machine"),
        ("34", "", "take its folder (stubs) out of LD_LIBRARY_PATH"),
        ("999", "", "see whether nvidia-smi works"),
    ] {
        let visible = (!variable.is_empty()).then_some(("CUDA_VISIBLE_DEVICES", variable.as_ref()));
        let variables: Vec<(&'static str, &OsStr)> =
            visible.into_iter().chain([("PLAY_INIT", code.as_ref())]).collect();
        let found = machine.with(&variables).devices("86", "13000")?;
        assert!(matches!(&found[..], [line] if line.contains(expected)), "{code}: {found:?}");
    }
    Ok(())
}
