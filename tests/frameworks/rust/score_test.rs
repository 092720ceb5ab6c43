// Crashes on purpose: a write through a null pointer in one test; a panic, which is no crash, in another.
use std::ptr::null_mut;

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

#[test]
fn is_the_best() {
    assert_eq!(best_score(), 42);
}

#[test]
fn is_saved() {
    finish_game();
}

#[test]
fn panics() {
    let scores: Vec<i32> = Vec::new();
    assert_eq!(scores[0], 42);
}
