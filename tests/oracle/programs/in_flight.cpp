// Crashes on purpose: a null write in a destructor, while an exception is on its way to its handler.
#include <stdexcept>
#include <string>

static int* volatile nowhere;

namespace app {

class Guard {
 public:
  explicit Guard(const std::string& name) : name_(name) {}
  __attribute__((noinline)) ~Guard() {
    if (name_ == "second") {
      *nowhere = static_cast<int>(name_.size());
    }
  }

 private:
  std::string name_;
};

__attribute__((noinline)) int fail(int value) {
  Guard first("first");
  if (value > 0) {
    throw std::runtime_error("fail");
  }
  return value;
}

__attribute__((noinline)) int guarded(int value) {
  Guard second("second");
  return fail(value) + 1;
}

}  // namespace app

int main(int argc, char**) {
  try {
    return app::guarded(argc) + 1;
  } catch (const std::exception&) {
    return 3;
  }
}
