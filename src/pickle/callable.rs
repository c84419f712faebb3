//! The callables that are known. No other one is called.

/// A callable of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    OrderedDict,
    Set,
    /// `_codecs.encode`, by which Python 3 writes bytes for Python 2.
    Encode,
    /// `_reconstruct`, which makes an array whose state is still to come.
    Reconstruct,
    /// `_frombuffer`, which makes an array in protocol 5.
    FromBuffer,
    Scalar,
    /// The class `ndarray`, which only `_reconstruct` reads.
    NdArray,
    DataType,
}

impl Callable {
    pub(super) fn named(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Callable::OrderedDict,
            ("builtins" | "__builtin__", "set") => Callable::Set,
            ("_codecs", "encode") => Callable::Encode,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Callable::Reconstruct,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Callable::FromBuffer,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Callable::Scalar,
            ("numpy", "ndarray") => Callable::NdArray,
            ("numpy", "dtype") => Callable::DataType,
            _ => {
                let tensors = if module.starts_with("torch") { " (it holds tensors of PyTorch)" } else { "" };
                let name = format!("{module}.{name}");
                let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                return Err(format!(
                    "it needs Python's `{name}`{tensors}, and naswot runs nothing of Python"
                ));
            }
        })
    }
}
