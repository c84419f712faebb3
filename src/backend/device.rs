//! A device as `naswot devices` lists it.

/// A device that a backend found, or the reason why it found none.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Device {
    /// What `--backend` would take to choose it.
    pub backend: String,
    /// Its name, empty where there is none.
    pub name: String,
    /// Limits and features, empty where they say nothing.
    pub details: String,
    /// Whether a processor plays a GPU: for tests, never chosen by itself.
    pub software: bool,
    /// Why it cannot be used; none when it can.
    pub unusable: Option<String>,
    /// Precisions that it computes in.
    pub precisions: Vec<&'static str>,
}
