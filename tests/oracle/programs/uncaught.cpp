// Aborts on purpose: nobody catches the exception.
#include <stdexcept>
#include <string>

namespace app {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Store {
 public:
  __attribute__((noinline)) int get(int key) {
    if (key > 0) {
      throw Failure("no such key " + std::to_string(key));
    }
    return key;
  }
};

namespace {

__attribute__((noinline)) int look_up(Store& store, int key) {
  return store.get(key) + 1;
}

}  // namespace

}  // namespace app

int main(int argc, char**) {
  app::Store store;
  return app::look_up(store, argc) + 1;
}
