// Crashes and hangs on purpose: writes through a null pointer, a panic, which is no crash, a wait without an end. Tests run
// in the order of their names, so modules say which are before.
use std::ptr::null_mut;

extern "C" {
    fn pause() -> i32;
}

#[inline(never)]
fn best_score() -> i32 {
    42
}

#[inline(never)]
fn write_through_null() {
    let nowhere: *mut i32 = null_mut();
    unsafe { *nowhere = best_score() }
}

#[inline(never)]
fn save_score() {
    write_through_null();
}

#[inline(never)]
fn finish_game() {
    save_score();
}

#[inline(never)]
fn await_score() {
    std::fs::write("hanging", "").unwrap();
    loop {
        unsafe { pause() };
    }
}

mod at_first {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn is_refused() {
        let itself = std::env::current_exe().unwrap();
        let child = std::process::Command::new(itself)
            .args(["--exact", "--ignored", "at_first::is_saved_by_a_child"])
            .output();
        assert!(child.unwrap().status.signal().is_some());
    }

    #[test]
    #[ignore]
    fn is_saved_by_a_child() {
        finish_game();
    }

    #[test]
    fn is_the_best() {
        assert_eq!(best_score(), 42);
    }

    #[test]
    fn panics() {
        let scores: Vec<i32> = Vec::new();
        assert_eq!(scores[0], 42);
    }
}

#[test]
fn is_awaited() {
    await_score();
}

#[test]
fn is_saved() {
    finish_game();
}

mod later {
    use super::*;

    #[test]
    fn is_never_reached() {
        assert_eq!(best_score(), 42);
    }
}
