// int assembly_without_cfi(int (*function)(int), int value): no table, but a frame pointer.
    .text
    .globl assembly_without_cfi
    .type assembly_without_cfi, @function
assembly_without_cfi:
    push %rbp
    mov %rsp, %rbp
    sub $48, %rsp
    mov %rdi, %rax
    mov %esi, %edi
    call *%rax
    leave
    ret
    .size assembly_without_cfi, . - assembly_without_cfi
    .section .note.GNU-stack, "", @progbits
