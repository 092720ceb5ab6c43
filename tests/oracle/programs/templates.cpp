// Crashes on purpose: a null write in a lambda, below std::sort, std::function and templates.
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

static int* volatile nowhere;

namespace app {

template <typename T, int N>
struct Ring {
  std::vector<T> items = std::vector<T>(N, T{});

  template <typename Compare>
  __attribute__((noinline)) void sort(Compare compare) {
    std::sort(items.begin(), items.end(), compare);
  }
};

template <typename... Arguments>
__attribute__((noinline)) int forward_all(const std::function<int(Arguments...)>& function,
                                          Arguments... arguments) {
  return function(arguments...) + 1;
}

namespace {

struct Local {
  int operator[](int index) const { return index + 1; }
  __attribute__((noinline)) static int run(int value) {
    Ring<long, 40> ring;
    ring.items[3] = value;
    int seen = 0;
    ring.sort([&seen, value](long a, long b) {
      if (++seen == 20) {
        *nowhere = value;
      }
      return a > b;
    });
    return seen;
  }
};

}  // namespace

}  // namespace app

int main(int argc, char**) {
  std::map<std::string, int> counts{{"one", argc}};
  const std::function<int(int, std::map<std::string, int>)> function =
      [](int value, std::map<std::string, int> map) { return app::Local::run(value + map["one"]); };
  return app::forward_all<int, std::map<std::string, int>>(function, argc, counts) + 1;
}
