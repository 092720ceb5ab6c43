// Dies on purpose, in a shared library.
extern "C" void shelf_put(int* where, int value);

int* volatile nowhere = nullptr;
volatile int after;

__attribute__((noinline)) void use_library() {
  shelf_put(nowhere, 1);  // MARK: use_library
  after = after + 1;
}

int main() {
  use_library();
  return after;
}
