//! Adapters: which there are, which of them can be used, and which one is best.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use wgpu::{Adapter, DeviceType, Instance, InstanceDescriptor, InstanceFlags, Limits};

use super::pipelines::EntryPoint;
use crate::backend::Device;
use crate::{BackendErrorKind, Error, Precision, Result};

/// An adapter that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) adapter: Adapter,
    /// What tells it from the others: all that it says of itself, and its position among those that say the same.
    pub(super) key: String,
}

/// Cache of the adapters: to enumerate them takes tens of milliseconds.
static FOUND: Mutex<Option<Vec<Found>>> = Mutex::new(None);

/// All adapters, the best one first; equal ones in the system's order.
fn adapters() -> Vec<Found> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.get_or_insert_with(|| look(InstanceFlags::empty())).clone()
}

/// Empties the cache, after a device was lost.
pub(super) fn forget() {
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Looks for adapters, with these flags besides those of wgpu and of its variables.
fn look(flags: InstanceFlags) -> Vec<Found> {
    let mut descriptor = InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.flags |= flags;
    let instance = Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::VirtualGpu => 1,
        DeviceType::IntegratedGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    let mut found: Vec<Found> = Vec::new();
    for adapter in adapters {
        let info = adapter.get_info();
        let equal = found.iter().filter(|other| other.adapter.get_info() == info).count();
        found.push(Found { adapter, key: format!("{info:?} {equal}") });
    }
    found
}

/// The adapters that wgpu leaves out, unless it is told to take them: their drivers do not conform to Vulkan, as that of WSL2
/// (Mesa's Dozen, on Direct3D 12).
struct LeftOut {
    /// All adapters, those that are left out included.
    all: Vec<Found>,
    /// The places of those that are left out.
    places: Vec<usize>,
}

impl LeftOut {
    fn of(adapters: &[Found]) -> Self {
        let all = look(InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER);
        let is_there = |place: &usize| adapters.iter().any(|other| other.key == all[*place].key);
        let places = (0..all.len()).filter(|place| !is_there(place)).collect();
        LeftOut { all, places }
    }

    /// Why the adapter that a selection would take is left out, if it is one of these.
    fn refusal(&self, selected: &str) -> Option<String> {
        let place = *select(&names(&self.all), selected).ok()?.first()?;
        let name = describe(&self.all[place].adapter);
        self.places.contains(&place).then(|| format!("{name}: {NOT_CONFORMANT}"))
    }

    fn devices(&self) -> Vec<Device> {
        let names = names(&self.all);
        let device =
            |&place: &usize| device(&names, place, &self.all[place].adapter, Some(NOT_CONFORMANT.into()));
        self.places.iter().map(device).collect()
    }
}

const NOT_CONFORMANT: &str = "its driver does not conform to Vulkan (that of WSL2, Dozen, is one such): set \
     WGPU_ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER=1 to use it all the same, and compare some scores with those of cpu";

fn names(adapters: &[Found]) -> Vec<String> {
    adapters.iter().map(|found| found.adapter.get_info().name).collect()
}

/// Adapters as `naswot devices` lists them.
pub(crate) fn devices() -> Vec<Device> {
    let adapters = adapters();
    let mut devices = taken(&adapters);
    devices.extend(LeftOut::of(&adapters).devices());
    if devices.is_empty() { vec![Device::refused("wgpu", NO_ADAPTER)] } else { devices }
}

/// The adapters that wgpu does not leave out.
fn taken(adapters: &[Found]) -> Vec<Device> {
    let names = names(adapters);
    let device = |(place, found): (usize, &Found)| {
        device(&names, place, &found.adapter, unusable(&found.adapter.limits()))
    };
    adapters.iter().enumerate().map(device).collect()
}

/// An adapter, at a place among those of these names.
fn device(names: &[String], place: usize, adapter: &Adapter, unusable: Option<String>) -> Device {
    Device {
        backend: format!("wgpu:{}", selection(names, place)),
        name: describe(adapter),
        details: details(adapter),
        software: is_software(adapter),
        unusable,
        precisions: vec![Precision::F32.name()],
    }
}

/// The best adapter that can be used, of all or of those that a selection takes: `NAME` those whose name contains it,
/// `NAME#I` the I-th of these, from 0.
///
/// # Errors
/// There is none, or what there is lacks something.
pub(super) fn choose(selected: Option<&str>) -> Result<Found> {
    let adapters = adapters();
    let backend = selected.map_or_else(|| "wgpu".to_owned(), |selected| format!("wgpu:{selected}"));
    let refused = |kind, reason: String| Err(Error::backend(kind, backend.clone(), reason));
    let places = match selected {
        None if adapters.is_empty() => Err(NO_ADAPTER.to_owned()),
        None => Ok((0..adapters.len()).collect()),
        Some(selected) => select(&names(&adapters), selected),
    };
    let places = match places {
        Ok(places) => places,
        Err(why) => {
            let left_out = LeftOut::of(&adapters);
            let reason = left_out.refusal(selected.unwrap_or_default()).unwrap_or(why);
            return refused(BackendErrorKind::NotFound, reason);
        }
    };
    let mut fitting = places.into_iter().map(|place| &adapters[place]);
    let Some(best) = fitting.next() else { unreachable!("a selection takes one adapter or more") };
    let Some(why) = unusable(&best.adapter.limits()) else { return Ok(best.clone()) };
    match fitting.find(|found| unusable(&found.adapter.limits()).is_none()) {
        Some(found) => Ok(found.clone()),
        None => refused(BackendErrorKind::CannotOpen, format!("{}: {why}", describe(&best.adapter))),
    }
}

/// The places of the adapters that a selection takes: at least one.
///
/// # Errors
/// There is none, in words that list what there is.
fn select(names: &[String], selected: &str) -> Result<Vec<usize>, String> {
    let number =
        selected.rsplit_once('#').and_then(|(name, number)| Some((name, number.parse::<usize>().ok()?)));
    let name = number.map_or(selected, |(name, _)| name);
    let fitting: Vec<usize> = (0..names.len()).filter(|&place| contains(&names[place], name)).collect();
    if names.is_empty() {
        return Err(NO_ADAPTER.to_owned());
    }
    if fitting.is_empty() {
        return Err(format!("no adapter's name contains `{name}`; there are {}", names.join(", ")));
    }
    let Some((_, number)) = number else { return Ok(fitting) };
    match fitting.get(number) {
        Some(&place) => Ok(vec![place]),
        None => {
            let each: Vec<String> = fitting
                .iter()
                .enumerate()
                .map(|(i, &place)| format!("{name}#{i} ({})", names[place]))
                .collect();
            let count = fitting.len();
            Err(format!("{count} adapters have `{name}` in their name, counted from 0: {}", each.join(", ")))
        }
    }
}

/// What selects the adapter at a place and no other: its name, with a number where others have it in theirs.
fn selection(names: &[String], place: usize) -> String {
    let name = short(&names[place]);
    let fits = |other: &String| contains(other, name);
    // A name that ends like a number would be read as one.
    if names.iter().filter(|other| fits(other)).count() == 1 && !name.contains('#') {
        return name.to_owned();
    }
    format!("{name}#{}", names[..place].iter().filter(|other| fits(other)).count())
}

/// Device files of GPUs on Linux.
const DEVICE_FILES: [&str; 5] = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/kgsl-3d0", "/dev/mali0"];

/// Whether there is an adapter that `auto` may choose.
///
/// # Errors
/// There is none: the GPUs that cannot be used.
pub(crate) fn hardware() -> Result<(), Vec<Device>> {
    // Drivers may complain loudly, each time, of a machine that has no GPU: they are not asked there.
    if cfg!(target_os = "linux") && !DEVICE_FILES.iter().any(|file| Path::new(file).exists()) {
        return Err(Vec::new());
    }
    let adapters = adapters();
    let hardware = |devices: Vec<Device>| devices.into_iter().filter(|device| !device.software);
    let mut found: Vec<Device> = hardware(taken(&adapters)).collect();
    if found.iter().any(|device| device.unusable.is_none()) {
        return Ok(());
    }
    found.extend(hardware(LeftOut::of(&adapters).devices()));
    Err(found)
}

const NO_ADAPTER: &str = "no adapter for Vulkan, Metal or DX12 was found: install the GPU's driver, or \
     mesa-vulkan-drivers for a software adapter; or use cpu";

/// A name without what drivers add to it: enough to choose by.
fn short(name: &str) -> &str {
    name.split(['(', ',']).next().map_or(name, str::trim)
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

pub(super) fn is_software(adapter: &Adapter) -> bool {
    adapter.get_info().device_type == DeviceType::Cpu
}

/// Name, kind and driver.
pub(super) fn describe(adapter: &Adapter) -> String {
    let info = adapter.get_info();
    let kind = match info.device_type {
        DeviceType::DiscreteGpu => "discrete GPU",
        DeviceType::IntegratedGpu => "integrated GPU",
        DeviceType::VirtualGpu => "virtual GPU",
        DeviceType::Cpu => "software adapter",
        DeviceType::Other => "unknown kind",
    };
    let driver = [info.driver, info.driver_info].join(" ");
    format!("{} ({kind}, {:?}, {})", info.name, info.backend, driver.trim())
}

/// Limits that decide how large a group may be, and features that a kernel could use.
fn details(adapter: &Adapter) -> String {
    let limits = adapter.limits();
    let mib = |bytes: u64| bytes >> 20;
    let features = adapter.features();
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
    ];
    let features: Vec<&str> =
        known.into_iter().filter(|(feature, _)| features.contains(*feature)).map(|(_, name)| name).collect();
    format!(
        "buffers of {} MiB, bindings of {} MiB, workgroups of {} threads and {} bytes; {}",
        mib(limits.max_buffer_size),
        mib(limits.max_storage_buffer_binding_size),
        limits.max_compute_invocations_per_workgroup,
        limits.max_compute_workgroup_storage_size,
        if features.is_empty() { "no features".to_owned() } else { features.join(", ") },
    )
}

/// The limit that is too small for the shaders, in words.
fn unusable(limits: &Limits) -> Option<String> {
    // As much of each as the shader takes that takes most of it.
    let most = |of: fn(EntryPoint) -> u32| EntryPoint::all().map(of).max().unwrap_or(0);
    let threads = most(|entry| entry.threads);
    let bytes = most(|entry| entry.workgroup_bytes);
    let buffers = most(|entry| entry.bindings.len() as u32);
    let needs = [
        ("threads in a workgroup", threads, limits.max_compute_invocations_per_workgroup),
        ("threads along a workgroup", threads, limits.max_compute_workgroup_size_x),
        ("bytes of workgroup memory", bytes, limits.max_compute_workgroup_storage_size),
        ("storage buffers in a stage", buffers, limits.max_storage_buffers_per_shader_stage),
    ];
    needs.into_iter().find(|(_, needed, found)| found < needed).map(|(what, needed, found)| {
        format!("its limit of {found} {what} is too small, {needed} are needed; use another backend")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_the_command_line_takes() {
        assert_eq!(short("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe");
        assert_eq!(short("NVIDIA H100 PCIe"), "NVIDIA H100 PCIe");
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_listed_selects_that_adapter_and_no_other() {
        for names in [
            owned(&["NVIDIA H100", "NVIDIA H100", "llvmpipe (LLVM 15.0.6, 256 bits)"]),
            // One name is a part of another, whichever comes first.
            owned(&["Intel(R) Arc(tm) A770M Graphics", "Intel(R) Arc(tm) A770 Graphics", "INTEL"]),
            owned(&["GeForce RTX 3080 Ti", "GeForce RTX 3080", "GeForce RTX 3080"]),
            // A number in the name, and none at all.
            owned(&["Card #1", "Card #0", "", "(unknown)"]),
        ] {
            for place in 0..names.len() {
                let listed = selection(&names, place);
                assert_eq!(select(&names, &listed), Ok(vec![place]), "{listed} of {names:?}");
            }
        }
        let names = owned(&["NVIDIA H100", "llvmpipe (LLVM 15.0.6, 256 bits)"]);
        assert_eq!([0, 1].map(|place| selection(&names, place)), ["NVIDIA H100", "llvmpipe"]);
    }

    #[test]
    fn adapters_are_selected_by_a_part_of_their_name_and_a_number() {
        let names = owned(&["NVIDIA H100", "NVIDIA A100", "llvmpipe"]);
        assert_eq!(select(&names, "nvidia"), Ok(vec![0, 1]));
        assert_eq!(select(&names, "100#1"), Ok(vec![1]));
        assert_eq!(select(&names, "#2"), Ok(vec![2]));
        let out_of_range = select(&names, "nvidia#2").unwrap_err();
        assert_eq!(
            out_of_range,
            "2 adapters have `nvidia` in their name, counted from 0: nvidia#0 (NVIDIA H100), nvidia#1 (NVIDIA A100)"
        );
        let none = select(&names, "radeon#0").unwrap_err();
        assert_eq!(none, "no adapter's name contains `radeon`; there are NVIDIA H100, NVIDIA A100, llvmpipe");
        // What is no number is a part of the name.
        assert_eq!(select(&owned(&["Card #x"]), "card #x"), Ok(vec![0]));
    }

    #[test]
    fn limits_that_are_too_small_are_named() {
        assert_eq!(unusable(&Limits::default()), None);
        let few = Limits { max_storage_buffers_per_shader_stage: 4, ..Limits::default() };
        assert!(unusable(&few).unwrap().contains("4 storage buffers in a stage is too small, 6 are needed"));
        let narrow = Limits { max_compute_invocations_per_workgroup: 128, ..Limits::default() };
        assert!(unusable(&narrow).unwrap().contains("128 threads"));
    }
}
