//! A graph with a name: what a scorer takes.

use std::sync::Arc;

use crate::{Convention, Graph, Initializer, Result};

/// A validated [`Graph`] and its id. Cheap to clone.
///
/// ```
/// use naswot::{Graph, Network};
///
/// let mut g = Graph::builder(3)?;
/// let x = g.input();
/// let x = g.relu(x)?;
/// let network = Network::from_graph("relu-of-the-image", g.output(x)?);
/// assert_eq!(network.id(), "relu-of-the-image");
/// assert_eq!(network.parameters(), 0);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    id: Arc<str>,
    graph: Arc<Graph>,
}

impl Network {
    /// Names a graph.
    pub fn from_graph(id: impl Into<Arc<str>>, graph: Graph) -> Self {
        Network { id: id.into(), graph: Arc::new(graph) }
    }

    /// The same network with other initial weights in all its convolutions.
    #[must_use]
    pub fn with_initializer(self, initializer: Initializer) -> Self {
        let graph = Arc::unwrap_or_clone(self.graph).with_initializer(initializer);
        Network { graph: Arc::new(graph), ..self }
    }

    /// Its name: the benchmark's hash or arch string where a search space made it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name, shared.
    pub(crate) fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Trainable parameters, those of batch norms and classifier included.
    pub fn parameters(&self) -> u64 {
        self.graph.parameters()
    }

    /// Convolutions that have a path to the output; an edge multiplied by zero is an edge.
    pub fn convolutions(&self) -> u64 {
        self.graph.convolutions()
    }

    /// Multiply-accumulates of its convolutions for one image of a height and width.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn macs(&self, height: usize, width: usize) -> Result<u64> {
        self.graph.macs(height, width)
    }

    /// N_A, code bits of one image over all counted ReLUs.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn activations(&self, height: usize, width: usize, convention: Convention) -> Result<u64> {
        self.graph.activations(height, width, convention)
    }
}
