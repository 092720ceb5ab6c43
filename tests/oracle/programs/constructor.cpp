// Crashes on purpose: a null write before main(), while a global object is made.
#include <string>

static int* volatile nowhere;

namespace {

struct Registry {
  std::string name;
  explicit Registry(const char* text) : name(text) { add(static_cast<int>(name.size())); }
  __attribute__((noinline)) void add(int size) {
    *nowhere = size;
    name += 'x';
  }
};

const Registry registry("global");

}  // namespace

int main() {
  return static_cast<int>(registry.name.size());
}
