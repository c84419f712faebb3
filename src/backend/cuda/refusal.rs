//! A refusal: why a GPU cannot be used, before anybody has asked it to work.

use crate::{BackendErrorKind, Error};

/// A refusal with what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) kind: BackendErrorKind,
    pub(super) reason: String,
}

impl Refusal {
    /// The refusal of a device or a library that is not there.
    pub(super) fn not_found(reason: String) -> Self {
        Refusal { kind: BackendErrorKind::NotFound, reason }
    }

    /// The refusal of one that is there and does not work.
    pub(super) fn cannot_open(reason: String) -> Self {
        Refusal { kind: BackendErrorKind::CannotOpen, reason }
    }

    /// The error of whoever asked for this backend by its name.
    pub(super) fn error(self, backend: impl Into<String>) -> Error {
        Error::backend(self.kind, backend, format!("{}; or use another backend", self.reason))
    }
}
