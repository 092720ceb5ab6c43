// A shared library that stacks_with_library.cpp crashes in.
extern "C" void shelf_put(int* where, int value) {
  *where = value;  // MARK: shelf_put
}
