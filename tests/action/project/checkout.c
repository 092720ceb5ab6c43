/* Crashes on purpose, with the argument "bad": reads a price through a null pointer. */
#include <stdio.h>
#include <string.h>

struct item {
  int price;
};

__attribute__((noinline)) static int price_of(const struct item* item) {
  return item->price; /* crash here */
}

__attribute__((noinline)) static int add_up(const struct item* item, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += price_of(item);
  }
  return sum;
}

int main(int argc, char** argv) {
  const struct item book = {12};
  const int sum = add_up(argc > 1 && strcmp(argv[1], "bad") == 0 ? NULL : &book, 3);
  printf("the sum is %d\n", sum);
  return 0;
}
