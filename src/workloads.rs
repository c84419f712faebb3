//! The standard workloads: fixed networks and batches, so that networks per second can be compared between machines,
//! backends and versions. `naswot bench` and the benches measure them.

use crate::{Architecture, Batch, Network, Result, SkeletonSettings};

/// 200 cells of NAS-Bench-101, drawn uniformly from the space, a line each.
pub const NASBENCH101: &str = include_str!("../benches/workloads/nasbench101_200.jsonl");
/// 200 cells of NAS-Bench-201, drawn uniformly from the space, a line each.
pub const NASBENCH201: &str = include_str!("../benches/workloads/nasbench201_200.jsonl");

/// Height and width of the images.
pub const IMAGE: usize = 32;

/// Networks of one size, and how many images they see.
///
/// ```
/// use naswot::workloads::Workload;
///
/// let workload = Workload::named("nasbench201-n32").expect("it is one of the standard workloads");
/// assert_eq!(workload.networks()?.len(), 200);
/// assert_eq!(workload.batch()?.shape(), [32, 3, 32, 32]);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Space, size and images: `nasbench101-stem16-n32`.
    pub name: &'static str,
    /// The cells, a line each: [`NASBENCH101`] or [`NASBENCH201`].
    pub cells: &'static str,
    /// Channels behind the stem.
    pub stem: usize,
    /// Images of the batch.
    pub images: usize,
}

impl Workload {
    /// All standard workloads.
    pub const ALL: [Workload; 6] = [
        Workload::new("nasbench101-stem16-n32", NASBENCH101, 16, 32),
        Workload::new("nasbench101-stem16-n128", NASBENCH101, 16, 128),
        Workload::new("nasbench101-stem128-n32", NASBENCH101, 128, 32),
        Workload::new("nasbench101-stem128-n128", NASBENCH101, 128, 128),
        Workload::new("nasbench201-n32", NASBENCH201, 16, 32),
        Workload::new("nasbench201-n128", NASBENCH201, 16, 128),
    ];

    const fn new(name: &'static str, cells: &'static str, stem: usize, images: usize) -> Self {
        Workload { name, cells, stem, images }
    }

    /// The standard workload of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name == name)
    }

    /// Its batch of synthetic images, [`IMAGE`] x [`IMAGE`], made from seed 0.
    ///
    /// # Errors
    /// No images.
    pub fn batch(&self) -> Result<Batch> {
        Batch::synthetic(self.images, 0)
    }

    /// All its networks, in order.
    ///
    /// # Errors
    /// A line that is no cell, a stem that makes no network: none of the standard workloads.
    pub fn networks(&self) -> Result<Vec<Network>> {
        let skeleton = SkeletonSettings { stem: Some(self.stem), ..SkeletonSettings::default() };
        self.cells.lines().map(|line| Architecture::from_json(line)?.network(&skeleton)).collect()
    }

    /// Floating-point operations of a network's convolutions on the batch: a multiplication and an addition for each
    /// weight under each output, padding included.
    ///
    /// # Errors
    /// A network that does not fit images of this size.
    pub fn flop(&self, network: &Network) -> Result<f64> {
        Ok(2.0 * network.macs(IMAGE, IMAGE)? as f64 * self.images as f64)
    }
}
