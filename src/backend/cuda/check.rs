//! Compares every launch of a group with its twin on the CPU.

use std::sync::Arc;

use super::buffers::Lane;
use super::driver::Driver;
use super::session::{Session, launches};
use crate::backend::cpu::octets_last;
use crate::backend::group::lockstep::{Device, lockstep as run};
use crate::backend::group::run::{Fault, Session as _};
use crate::backend::group::{Group, Joins, Launch, Load, Mirror};
use crate::backend::{Precision, Setup};
use crate::measure::Deviation;
use crate::{Batch, Convention, Error, Network, Result, Weights};

/// Runs networks launch by launch; see [`crate::measure::cuda::lockstep`].
pub(crate) fn lockstep(
    driver: Arc<dyn Driver>,
    networks: &[Network],
    batch: &Batch,
    weights: &Weights,
    convention: Convention,
) -> Result<Vec<Deviation>> {
    let setup = Setup {
        batch: batch.clone(),
        weights: weights.clone(),
        source: weights.source(),
        convention,
        precision: Precision::F32,
        threads: 1,
        group_size: None,
        memory_limit: None,
        keep_kernels: false,
        twins: Vec::new(),
        probe: None,
    };
    let image: Arc<[f32]> = octets_last(batch).into();
    let name = driver.name().to_owned();
    let fatal = |fault: Fault| fault.fatal("cuda", &name);
    let mut session = Session::new(driver, &setup, Arc::clone(&image)).map_err(fatal)?;
    let mut laid_out = Vec::new();
    for network in networks {
        let plan = setup.plan(network)?;
        let load = Load::of(&plan, session.limits())?;
        let full =
            || Error::Backend { backend: "cuda".to_owned(), reason: "the weight pool is full".to_owned() };
        let resident = session.pool.place(&plan)?.ok_or_else(full)?;
        laid_out.push((plan, load, resident));
    }
    let group = Group::new(laid_out, &session.pool, Joins::LastBlock);
    group.check(session.pool.used())?;
    let fresh = session.pool.take_fresh();
    let (all, used) = (launches(&group, &fresh), session.pool.used());
    let mut lane = session.lane().map_err(fatal)?;
    session.upload(&group, &fresh, false, &mut lane).map_err(fatal)?;
    let mut device = Checked { session, lane, group: &group, name: &name };
    run(&mut device, &group, &all, (&fresh, used), &*setup.source, &image)
}

struct Checked<'a> {
    session: Session,
    lane: Lane,
    group: &'a Group,
    name: &'a str,
}

impl Device for Checked<'_> {
    fn restore(&mut self, mirror: &Mirror) -> Result<()> {
        self.session.restore(mirror, &self.lane).map_err(|fault| fault.fatal("cuda", self.name))
    }

    fn run(&mut self, launch: &Launch) -> Result<()> {
        self.session.launch(launch, &self.lane).map_err(|fault| fault.fatal("cuda", self.name))
    }

    fn mirror(&mut self) -> Result<Mirror> {
        self.session.mirror(self.group, &self.lane).map_err(|fault| fault.fatal("cuda", self.name))
    }
}
