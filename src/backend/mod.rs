//! Backends: what runs Plans on a device.

pub(crate) mod cpu;
