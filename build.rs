//! The build script: gathers the shaders into one registry. Each is validated, and what its pipelines have to know is
//! read out of it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "wgpu")]
    if let Err(error) = shaders::gather() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

#[cfg(feature = "wgpu")]
mod shaders {
    use std::fmt::Write;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use naga::proc::Layouter;
    use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator};
    use naga::{AddressSpace, GlobalVariable, Module, StorageAccess};

    /// Declarations that stand before every shader.
    const COMMON: &str = "shaders/common.wgsl";

    /// Shaders that come in several forms: file, name of the form's entry point in the registry, and the constants that
    /// make the form. Entry points of all others are known by their own names.
    const FORMS: [(&str, &str, &str); 2] = [
        ("shaders/conv.wgsl", "conv_narrow", "const QUADS: u32 = 32u; const TILE_OCTETS: u32 = 8u;"),
        ("shaders/conv.wgsl", "conv_wide", "const QUADS: u32 = 16u; const TILE_OCTETS: u32 = 16u;"),
    ];

    /// Writes `shaders.rs`: the sources, and the entry point of each kind of launch (`src/backend/wgpu/pipelines.rs` includes it).
    pub(super) fn gather() -> Result<(), String> {
        println!("cargo::rerun-if-changed=shaders");
        let common = read(COMMON)?;
        let (mut sources, mut entry_points) = (String::new(), String::new());
        for file in files()? {
            let mut forms: Vec<_> = FORMS.iter().filter(|(other, ..)| *other == file).collect();
            if forms.is_empty() {
                forms.push(&("", "", ""));
            }
            for (_, form, constants) in forms {
                let shader = Shader::new(&common, &file, constants)?;
                let name = if form.is_empty() { &file } else { *form };
                let _ = writeln!(sources, "({name:?}, {:?}),", shader.source);
                entry_points += &shader.entry_points(name, form)?;
            }
        }
        let registry = format!(
            "const SHADERS: &[(&str, &str)] = &[\n{sources}];\n\n\
             fn entry_point(kind: LaunchKind) -> Option<EntryPoint> {{\nSome(match kind {{\n{entry_points}_ => return None,\n}})\n}}\n"
        );
        let folder = env::var_os("OUT_DIR").unwrap_or_default();
        let path = Path::new(&folder).join("shaders.rs");
        fs::write(&path, registry).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// All shaders but what they have in common, in order.
    fn files() -> Result<Vec<String>, String> {
        let entries = fs::read_dir("shaders").map_err(|error| format!("shaders: {error}"))?;
        let paths = entries.flatten().map(|entry: fs::DirEntry| entry.path());
        let name = |path: PathBuf| Some(format!("shaders/{}", path.file_name()?.to_str()?));
        let mut files: Vec<String> = paths.filter_map(name).collect();
        files.retain(|file| file.ends_with(".wgsl") && file != COMMON);
        files.sort();
        Ok(files)
    }

    /// A valid shader.
    struct Shader<'a> {
        file: &'a str,
        source: String,
        module: Module,
        info: ModuleInfo,
    }

    impl<'a> Shader<'a> {
        /// Parses and validates a shader; an error says where in which file.
        fn new(common: &str, file: &'a str, constants: &str) -> Result<Self, String> {
            let source = format!("{common}{constants}\n{}", read(file)?);
            let common = common.lines().count();
            let place =
                |location: Option<naga::SourceLocation>| match location.map(|at| at.line_number as usize) {
                    None => file.to_owned(),
                    Some(line) if line <= common => format!("{COMMON}:{line}"),
                    // One line of constants stands between the two.
                    Some(line) => format!("{file}:{}", line - common - 1),
                };
            let module = naga::front::wgsl::parse_str(&source).map_err(|error| {
                format!("{}: {}", place(error.location(&source)), error.emit_to_string(&source))
            })?;
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
            let info = validator.validate(&module).map_err(|error| {
                format!("{}: {}", place(error.location(&source)), error.emit_to_string(&source))
            })?;
            Ok(Shader { file, source, module, info })
        }

        /// An arm for each entry point of a match over kinds of launches; the form's name stands for that of its only one.
        fn entry_points(&self, shader: &str, form: &str) -> Result<String, String> {
            let mut arms = String::new();
            for (position, entry) in self.module.entry_points.iter().enumerate() {
                let info = self.info.get_entry_point(position);
                let threads: u32 = entry.workgroup_size.iter().product();
                let (bytes, bindings) = (self.workgroup_bytes(info)?, self.bindings(info)?);
                let (kind, function) = (if form.is_empty() { &entry.name } else { form }, &entry.name);
                let _ = writeln!(
                    arms,
                    "LaunchKind::{} => EntryPoint {{ shader: {shader:?}, function: {function:?}, threads: {threads}, \
                     workgroup_bytes: {bytes}, bindings: const {{ &[\n{bindings}] }} }},",
                    camel_case(kind)
                );
            }
            Ok(arms)
        }

        /// Variables that an entry point uses, directly or not.
        fn used(&self, info: &FunctionInfo) -> Vec<&GlobalVariable> {
            let variables = self.module.global_variables.iter();
            variables.filter(|(handle, _)| !info[*handle].is_empty()).map(|(_, variable)| variable).collect()
        }

        /// Bytes of workgroup memory, as WebGPU counts them: each variable in units of 16.
        fn workgroup_bytes(&self, info: &FunctionInfo) -> Result<u32, String> {
            let mut layouter = Layouter::default();
            layouter.update(self.module.to_ctx()).map_err(|error| format!("{}: {error}", self.file))?;
            let variables = self.used(info).into_iter();
            let variables = variables.filter(|variable| variable.space == AddressSpace::WorkGroup);
            Ok(variables.map(|variable| layouter[variable.ty].size.next_multiple_of(16)).sum())
        }

        /// What an entry point binds beside its launch: number, memory by the variable's name, and whether it is written.
        fn bindings(&self, info: &FunctionInfo) -> Result<String, String> {
            let mut bindings = Vec::new();
            for variable in self.used(info) {
                let Some(binding) = variable.binding else { continue };
                let name = variable.name.as_deref().unwrap_or_default();
                match variable.space {
                    AddressSpace::Uniform if (name, binding.group, binding.binding) == ("launch", 0, 0) => {}
                    AddressSpace::Storage { access } if binding.group == 0 => {
                        bindings.push((binding.binding, name, access.contains(StorageAccess::STORE)));
                    }
                    _ => return Err(format!("{}: {name} is neither `launch` nor storage", self.file)),
                }
            }
            bindings.sort_unstable();
            let line = |(number, name, is_written): (u32, &str, bool)| {
                let memory = camel_case(name);
                format!(
                    "Binding {{ number: {number}, memory: {memory}.memory(), is_written: {is_written} }},\n"
                )
            };
            Ok(bindings.into_iter().map(line).collect())
        }
    }

    /// `norm_jobs` as Rust's enums have it, `NormJobs`.
    fn camel_case(name: &str) -> String {
        let word = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
        name.split('_').map(word).collect()
    }

    fn read(path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
    }
}
