//! A device session: a device with what a run needs of it, and its groups in flight. (The public
//! [`Session`](crate::Session), which networks are submitted to, stands above it.)

use super::packed::{Packed, Placed, Queued};
use super::results::Results;
use super::{DeviceWeightCache, Fault, Group, Launch, Limits};
use crate::backend::Setup;
use crate::backend::ceilings::DeviceCeilings;
use crate::{Error, Result};

/// A device with the buffers, the weights and the batch of a run.
pub(crate) trait DeviceSession: Send + Sized {
    /// The backend's name.
    const BACKEND: &'static str;
    /// Memory that the device holds for a group in flight, and can use again after it.
    type Memory: Send;
    /// What the device holds at most.
    fn limits(&mut self) -> &mut Limits;
    /// Which weights are on the device.
    fn cache(&mut self) -> &mut DeviceWeightCache;
    /// Uploads a group and starts its launches. Where the cache was cleared for it, groups in flight may still read the
    /// rows that are overwritten.
    fn start(&mut self, group: &Group, cleared: bool) -> Result<Self::Memory, Fault>;
    /// Waits for a group's end.
    fn wait(memory: &Self::Memory) -> Result<Results, Fault>;
    /// Takes the memory of a group that has ended back, for another.
    fn reuse(&mut self, memory: Self::Memory);
    /// Frees the memory of all buffers, after they were too large. No group is in flight.
    fn release(&mut self);
    /// Opens the device anew, after it was lost, if another run has not done so.
    ///
    /// # Errors
    /// It cannot be opened.
    fn renew(&mut self) -> Result<()>;
    /// A session on the same device for another run.
    ///
    /// # Errors
    /// The device has no room for what a session begins with.
    fn reopen(&self, setup: Setup) -> Result<Self>;
    /// The device's name.
    fn device(&self) -> String;
    /// Measures the device, while no group is in flight.
    fn ceilings(&self) -> Result<DeviceCeilings, Fault>;
}

/// Networks whose group has failed, and why.
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) networks: Vec<Queued>,
}

/// A group that runs on a session's device.
pub(crate) struct InFlight<S: DeviceSession> {
    packed: Packed,
    memory: S::Memory,
}

impl<S: DeviceSession> InFlight<S> {
    /// Starts a group of networks. Those whose weights are wrong go to `fail`; where the weight cache is full, the networks
    /// that are left over come back.
    pub(crate) fn start(
        session: &mut S,
        networks: Vec<Queued>,
        fail: &mut dyn FnMut(usize, Error),
    ) -> Result<(Option<Self>, Vec<Queued>), Failed> {
        let (placed, left) = Placed::new(networks, session.cache(), fail);
        let cleared = placed.cleared;
        let (forms, rows) = (session.limits().forms, session.cache().rows());
        let Some(packed) = placed.pack(forms, rows) else { return Ok((None, left)) };
        match Self::start_packed(session, packed, cleared) {
            Ok(in_flight) => Ok((Some(in_flight), left)),
            Err(Failed { fault, mut networks }) => {
                networks.extend(left);
                Err(Failed { fault, networks })
            }
        }
    }

    /// Starts a group that has been laid out.
    pub(crate) fn start_packed(session: &mut S, packed: Packed, cleared: bool) -> Result<Self, Failed> {
        let checked = packed.group.check(session.cache().used());
        let started = checked.map_err(|error| Fault::Failed(error.to_string()));
        match started.and_then(|()| session.start(&packed.group, cleared)) {
            Ok(memory) => Ok(InFlight { packed, memory }),
            Err(fault) => Err(Failed { fault, networks: packed.into_queued() }),
        }
    }

    /// Waits for the group's end.
    pub(crate) fn wait(self) -> Result<Ended<S>, Failed> {
        let InFlight { packed, memory } = self;
        match S::wait(&memory) {
            Ok(results) => Ok(Ended { packed, results, memory }),
            Err(fault) => Err(Failed { fault, networks: packed.into_queued() }),
        }
    }
}

/// A group that has run.
pub(crate) struct Ended<S: DeviceSession> {
    pub(crate) packed: Packed,
    pub(crate) results: Results,
    /// For [`DeviceSession::reuse`].
    pub(crate) memory: S::Memory,
}

/// The mode in which a run has a launch done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With all others, one after the other.
    Together,
    /// By itself, so that its time can be told.
    Timed,
    /// By itself, on its twin.
    Twin,
}

impl Mode {
    /// What a run's settings ask of a launch.
    pub(crate) fn of(launch: &Launch, setup: &Setup) -> Self {
        let is_timed = setup.probe.as_ref().is_some_and(|probe| probe.is_timer());
        match (setup.twins.contains(&launch.kind.stage()), is_timed) {
            (true, _) => Mode::Twin,
            (false, true) => Mode::Timed,
            (false, false) => Mode::Together,
        }
    }
}
