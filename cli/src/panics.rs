//! Panics of libraries that read damaged files: they become errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    /// Whether a panic of this thread is caught, and becomes an error.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The result of a function, or with what it has panicked; nothing that it was at work on may be used afterwards.
pub(crate) fn caught<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(function));
    CAUGHT.set(before);
    result.map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Has the process say nothing of panics that are caught. It is the process's to decide, so a run leaves it alone.
pub fn quiet() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if !CAUGHT.get() {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(caught(|| 7), Ok(7));
        let place = [1, 2].len();
        assert_eq!(
            caught(|| [1, 2][place]).unwrap_err(),
            "index out of bounds: the len is 2 but the index is 2"
        );
        assert_eq!(caught(|| -> u8 { panic!("a {place}") }).unwrap_err(), "a 2");
        assert_eq!(caught(|| std::panic::panic_any(5)).unwrap_err(), "it panicked");
    }
}
