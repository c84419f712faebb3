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

impl Device {
    /// A backend, or a device of it of unknown name, that cannot be used.
    pub(crate) fn refused(backend: impl Into<String>, reason: impl Into<String>) -> Self {
        Device {
            backend: backend.into(),
            name: String::new(),
            details: String::new(),
            software: false,
            unusable: Some(reason.into()),
            precisions: Vec::new(),
        }
    }
}
