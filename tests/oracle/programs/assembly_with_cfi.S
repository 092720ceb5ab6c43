// int assembly_with_cfi(int (*function)(int), int value): its frame is known by its table alone.
    .text
    .globl assembly_with_cfi
    .type assembly_with_cfi, @function
assembly_with_cfi:
    .cfi_startproc
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    sub $48, %rsp
    .cfi_adjust_cfa_offset 48
    mov %rdi, %rbx
    mov %esi, %edi
    call *%rbx
    add $48, %rsp
    .cfi_adjust_cfa_offset -48
    pop %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .cfi_endproc
    .size assembly_with_cfi, . - assembly_with_cfi
    .section .note.GNU-stack, "", @progbits
