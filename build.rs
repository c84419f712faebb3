//! Gathers the shaders into one registry, each one validated.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "wgpu")]
    shaders::gather();
}

#[cfg(feature = "wgpu")]
mod shaders {
    use std::fmt::Write;
    use std::path::Path;
    use std::{env, fs, process};

    use naga::valid::{Capabilities, ValidationFlags, Validator};

    /// What stands before every shader.
    const COMMON: &str = "shaders/common.wgsl";

    /// Name in the registry, file in `shaders`, and constants that make the form.
    const SHADERS: [(&str, &str, &str); 7] = [
        ("weights", "weights.wgsl", ""),
        ("conv_narrow", "conv.wgsl", "const QUADS: u32 = 32u; const TILE_OCTETS: u32 = 8u;"),
        ("conv_wide", "conv.wgsl", "const QUADS: u32 = 16u; const TILE_OCTETS: u32 = 16u;"),
        ("batch_norm", "batch_norm.wgsl", ""),
        ("combine", "combine.wgsl", ""),
        ("agreement", "agreement.wgsl", ""),
        ("cholesky", "cholesky.wgsl", ""),
    ];

    /// Writes `shaders.rs`: name and source of each shader.
    pub(super) fn gather() {
        println!("cargo::rerun-if-changed=shaders");
        let common = read(COMMON);
        let mut registry = String::from("&[\n");
        for (name, file, constants) in SHADERS {
            let file = format!("shaders/{file}");
            let source = format!("{common}{constants}\n{}", read(&file));
            if let Err(error) = validate(&source, &file, common.lines().count()) {
                eprintln!("{error}");
                process::exit(1);
            }
            // Writing to a string cannot fail.
            let _ = writeln!(registry, "({name:?}, {source:?}),");
        }
        registry.push(']');
        let folder = env::var_os("OUT_DIR").unwrap_or_default();
        write(&Path::new(&folder).join("shaders.rs"), &registry);
    }

    /// Parses and validates a shader; an error says where in which file.
    fn validate(source: &str, file: &str, common: usize) -> Result<(), String> {
        let place = |location: Option<naga::SourceLocation>| match location.map(|at| at.line_number as usize)
        {
            None => file.to_owned(),
            Some(line) if line <= common => format!("{COMMON}:{line}"),
            // One line of constants stands between the two.
            Some(line) => format!("{file}:{}", line - common - 1),
        };
        let module = naga::front::wgsl::parse_str(source).map_err(|error| {
            format!("{}: {}", place(error.location(source)), error.emit_to_string(source))
        })?;
        Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).map_err(|error| {
            format!("{}: {}", place(error.location(source)), error.emit_to_string(source))
        })?;
        Ok(())
    }

    fn read(path: &str) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| {
            eprintln!("{path}: {error}");
            process::exit(1);
        })
    }

    fn write(path: &Path, text: &str) {
        if let Err(error) = fs::write(path, text) {
            eprintln!("{}: {error}", path.display());
            process::exit(1);
        }
    }
}
