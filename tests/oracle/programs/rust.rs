// Crashes on purpose: a null write in a closure, below a trait object and a generic function.
use std::collections::HashMap;

trait Shape {
    fn area(&self, scale: i32) -> i32;
}

struct Square<T> {
    side: T,
}

impl<T: Copy + Into<i32>> Shape for Square<T> {
    #[inline(never)]
    fn area(&self, scale: i32) -> i32 {
        let side: i32 = self.side.into();
        apply(|value| unsafe { (8 as *mut i32).write_volatile(value * side); value }, scale) + 1
    }
}

#[inline(never)]
fn apply<F: Fn(i32) -> i32>(function: F, value: i32) -> i32 {
    function(value + 1) - 1
}

fn main() {
    let mut shapes: HashMap<&str, Box<dyn Shape>> = HashMap::new();
    shapes.insert("square", Box::new(Square { side: std::env::args().count() as i16 }));
    std::process::exit(shapes["square"].area(3) + 1);
}
