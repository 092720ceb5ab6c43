// Aborts on purpose: a panic in a program that is compiled with panic=abort.
mod store {
    pub struct Store {
        items: Vec<i32>,
    }

    impl Store {
        pub fn new(count: usize) -> Self {
            Store { items: vec![1; count] }
        }

        #[inline(never)]
        pub fn get(&self, index: usize) -> i32 {
            self.items[index] + 1
        }
    }
}

#[inline(never)]
fn look_up(store: &store::Store, index: usize) -> i32 {
    store.get(index) * 2
}

fn main() {
    let store = store::Store::new(std::env::args().count());
    std::process::exit(look_up(&store, 7) + 1);
}
