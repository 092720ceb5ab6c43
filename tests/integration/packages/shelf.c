/* A library that calls its user back. With OTHER it is another one: other code and other names at the same places. */
void shelf_visit(void (*visitor)(void));

#ifdef OTHER
#define shelf_walk wrong_walk
static volatile int counter;
void wrong_padding(void);
void wrong_padding(void) {
  for (int i = 0; i < 10; ++i) {
    counter += i;
  }
}
#endif

__attribute__((noinline)) static void shelf_walk(void (*visitor)(void)) {
  visitor();
  __asm__ volatile("");
}

void shelf_visit(void (*visitor)(void)) {
  shelf_walk(visitor);
  __asm__ volatile("");
}
