/* A library whose functions have versions: versioned.map. */
int shelf_size(void);
int shelf_size(void) {
  return 3;
}

int shelf_weight(void);
int shelf_weight(void) {
  return 4;
}
