//! An open device: its pipelines, and what can go wrong with it. A process opens each adapter once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wgpu::{
    Adapter, Buffer, BufferDescriptor, BufferUsages, DeviceType, ErrorFilter, MapMode, PollType,
    SubmissionIndex,
};

use super::adapter::{self, Found};
use super::pipelines::{Checks, Pipeline, pipelines};
use crate::backend::group::{Fault, LaunchKind, PerKind};
use crate::{BackendErrorKind, Error, Result};

/// A device, its queue and its pipelines.
pub(super) struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pipelines: PerKind<Option<Pipeline>>,
    pub(super) name: String,
    pub(super) kind: DeviceType,
    lost: Arc<Mutex<Option<String>>>,
}

/// Devices that this process has opened, by adapter.
static OPEN: Mutex<Vec<(String, Arc<Gpu>)>> = Mutex::new(Vec::new());

impl Gpu {
    /// Opens an adapter's device, or takes the one that is open and has not been lost.
    pub(super) fn open(found: &Found, checks: Checks) -> Result<Arc<Self>> {
        let key = format!("{checks:?} {}", found.key);
        let mut open = lock(&OPEN);
        open.retain(|(_, gpu)| gpu.lost().is_none());
        if let Some((_, gpu)) = open.iter().find(|(other, _)| *other == key) {
            return Ok(Arc::clone(gpu));
        }
        let gpu = Arc::new(Self::new(&found.adapter, checks)?);
        open.push((key, Arc::clone(&gpu)));
        Ok(gpu)
    }

    /// Opens an adapter's device for one user alone.
    pub(super) fn new(adapter: &Adapter, checks: Checks) -> Result<Self> {
        let name = adapter::describe(adapter);
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("naswot"),
            required_limits: adapter.limits(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|error| {
            let reason = format!("{name} cannot be opened: {error}; use another backend");
            Error::backend(BackendErrorKind::CannotOpen, "wgpu", reason)
        })?;
        let lost = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, why| {
            lock(&seen).get_or_insert(why);
        });
        // Errors outside a scope would panic: the device counts as lost then.
        let seen = Arc::clone(&lost);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&seen).get_or_insert_with(|| error.to_string());
        }));
        let (made, scopes) = Scopes::around(&device, || pipelines(&device, checks));
        scopes.map_err(|fault| fault.fatal("wgpu", &name))?;
        Ok(Gpu { pipelines: made, device, queue, name, kind: adapter.get_info().device_type, lost })
    }

    /// Bytes of a buffer that a shader can bind as a whole.
    pub(super) fn buffer_limit(&self) -> u64 {
        let limits = self.device.limits();
        // Whole vectors of four numbers.
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) / 16 * 16
    }

    /// Why it was lost, where it was.
    pub(super) fn lost(&self) -> Option<String> {
        lock(&self.lost).clone()
    }

    /// Does some work with the device; its errors come back as a fault.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Fault> {
        let (result, scopes) = Scopes::around(&self.device, work);
        if scopes.is_err() {
            // A device that was lost calls back while it is polled.
            let _ = self.device.poll(PollType::Poll);
        }
        match self.lost() {
            Some(why) => Err(Fault::Lost(why)),
            None => scopes.map(|()| result),
        }
    }

    /// Waits until a submission has ended.
    pub(super) fn wait(&self, submission: SubmissionIndex) -> Result<(), Fault> {
        let waited = self.guarded(|| {
            self.device.poll(PollType::Wait { submission_index: Some(submission), timeout: None })
        })?;
        waited.map(drop).map_err(|error| Fault::Failed(error.to_string()))
    }
}

impl Gpu {
    /// The pipeline of a kind of launch that a group has.
    pub(super) fn pipeline(&self, kind: LaunchKind) -> &Pipeline {
        match &self.pipelines[kind] {
            Some(pipeline) => pipeline,
            None => unreachable!("groups for WGSL have no {kind:?}"),
        }
    }

    /// A buffer that the host can read.
    pub(super) fn readable(&self, size: u64) -> Buffer {
        self.device.create_buffer(&BufferDescriptor {
            label: Some("results"),
            size,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// The bytes of such a buffer, once a submission, or else all of them, has ended.
    pub(super) fn read(
        &self,
        buffer: &Buffer,
        size: u64,
        submission_index: Option<SubmissionIndex>,
    ) -> Result<Vec<u8>, Fault> {
        let (tell, told) = mpsc::channel();
        self.guarded(|| {
            buffer.map_async(MapMode::Read, 0..size, move |mapped| {
                // Nobody listens when the wait below has failed.
                let _ = tell.send(mapped);
            });
            self.device.poll(PollType::Wait { submission_index, timeout: None })
        })?
        .map_err(|error| Fault::Failed(error.to_string()))?;
        let unreadable = || Fault::Failed("its results cannot be read".to_owned());
        // Another thread that waits for the device may have taken the news, and be about to pass it on.
        told.recv().ok().and_then(|mapped| mapped.ok()).ok_or_else(unreadable)?;
        let view = buffer.get_mapped_range(0..size).map_err(|_| unreadable())?;
        let bytes = view.to_vec();
        drop(view);
        buffer.unmap();
        Ok(bytes)
    }
}

/// Error scopes of a device.
struct Scopes;

impl Scopes {
    /// Does some work inside them: its result, and the fault that they caught.
    fn around<T>(device: &wgpu::Device, work: impl FnOnce() -> T) -> (T, Result<(), Fault>) {
        let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(ErrorFilter::Validation);
        let internal = device.push_error_scope(ErrorFilter::Internal);
        let result = work();
        let [internal, validation, memory] =
            [internal, validation, memory].map(|scope| pollster::block_on(scope.pop()));
        let fault = match (memory, validation.or(internal)) {
            (Some(_), _) => Err(Fault::Memory),
            (None, Some(error)) => Err(Fault::Failed(error.to_string())),
            (None, None) => Ok(()),
        };
        (result, fault)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
