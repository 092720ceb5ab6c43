// What an instruction does to an operand in memory is told from its name (Intel's manual, volume 2): Capstone 4 has it
// wrong for the stores of SSE, of the x87 and of cmpxchg. The address is computed from the registers. What is not certain
// is left out: instructions that are not listed, vector registers as an index, 16-bit addressing, the segments of a 32-bit
// process.
#include "runner/unwind/disassembly.h"

#include <capstone/capstone.h>

#include <algorithm>
#include <string>
#include <utility>

namespace crashcrawler {

namespace {

constexpr size_t kBefore = 4, kBehind = 4;  // instructions
constexpr size_t kLongestInstruction = 15;  // bytes, by the processor
constexpr size_t kMostCode = (kBehind + 1) * kLongestInstruction;
constexpr uint64_t kFarthestStart = uint64_t{64} << 10;

// One decoder, closed with its scope.
class Decoder {
 public:
  explicit Decoder(Architecture architecture) {
    const cs_mode mode = architecture == Architecture::i386 ? CS_MODE_32 : CS_MODE_64;
    if (::cs_open(CS_ARCH_X86, mode, &handle_) == CS_ERR_OK) {
      ::cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
      instruction_ = ::cs_malloc(handle_);
    }
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (instruction_ != nullptr) {
      ::cs_free(instruction_, 1);
    }
    if (handle_ != 0) {
      ::cs_close(&handle_);
    }
  }

  // The instruction at the beginning of `code`, which lay at `address`; null: it is none. Stays valid until the next call.
  const cs_insn* decode(std::string_view code, uint64_t address) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(code.data());
    size_t size = code.size();
    const bool decoded =
        instruction_ != nullptr && ::cs_disasm_iter(handle_, &bytes, &size, &address, instruction_);
    return decoded ? instruction_ : nullptr;
  }

 private:
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
};

Instruction to_instruction(const cs_insn& decoded, std::string_view code) {
  const std::string operands = decoded.op_str;
  return {decoded.address, std::string(code.substr(0, decoded.size)),
          decoded.mnemonic + (operands.empty() ? "" : " " + operands)};
}

// What is known of the code from `from` on, `address` included; from `address` on when what is before it is not known.
MemoryRange code_from(uint64_t from, uint64_t address, const RawCrash& crash,
                      const AddressSpace& files) {
  const uint64_t end = address + kMostCode;
  MemoryRange code{from, std::string(files.read(from, end - from))};
  if (code.end() <= address) {
    code = {address, std::string(files.read(address, kMostCode))};
  }
  for (const MemoryRange& kept : crash.memory) {
    if (code.bytes.empty() && kept.address <= address && address < kept.end()) {
      code.address = kept.address <= from ? from : address;
      code.bytes = kept.bytes.substr(code.address - kept.address, end - code.address);
    }
    const uint64_t first = std::max(kept.address, code.address);
    const uint64_t last = std::min(kept.end(), code.end());
    if (first < last) {
      code.bytes.replace(first - code.address, last - first, kept.bytes, first - kept.address,
                         last - first);
    }
  }
  return code;
}

struct RegisterPlace {
  x86_reg name;
  uint64_t Registers::*value;
  bool is_wide;
};

constexpr RegisterPlace kRegisters[] = {
    {X86_REG_RAX, &Registers::rax, true}, {X86_REG_EAX, &Registers::rax, false},
    {X86_REG_RBX, &Registers::rbx, true}, {X86_REG_EBX, &Registers::rbx, false},
    {X86_REG_RCX, &Registers::rcx, true}, {X86_REG_ECX, &Registers::rcx, false},
    {X86_REG_RDX, &Registers::rdx, true}, {X86_REG_EDX, &Registers::rdx, false},
    {X86_REG_RSI, &Registers::rsi, true}, {X86_REG_ESI, &Registers::rsi, false},
    {X86_REG_RDI, &Registers::rdi, true}, {X86_REG_EDI, &Registers::rdi, false},
    {X86_REG_RBP, &Registers::rbp, true}, {X86_REG_EBP, &Registers::rbp, false},
    {X86_REG_RSP, &Registers::rsp, true}, {X86_REG_ESP, &Registers::rsp, false},
    {X86_REG_R8, &Registers::r8, true},   {X86_REG_R8D, &Registers::r8, false},
    {X86_REG_R9, &Registers::r9, true},   {X86_REG_R9D, &Registers::r9, false},
    {X86_REG_R10, &Registers::r10, true}, {X86_REG_R10D, &Registers::r10, false},
    {X86_REG_R11, &Registers::r11, true}, {X86_REG_R11D, &Registers::r11, false},
    {X86_REG_R12, &Registers::r12, true}, {X86_REG_R12D, &Registers::r12, false},
    {X86_REG_R13, &Registers::r13, true}, {X86_REG_R13D, &Registers::r13, false},
    {X86_REG_R14, &Registers::r14, true}, {X86_REG_R14D, &Registers::r14, false},
    {X86_REG_R15, &Registers::r15, true}, {X86_REG_R15D, &Registers::r15, false},
};

// nullopt: another register than those above.
std::optional<uint64_t> value_of(x86_reg name, const Registers& registers, const cs_insn& decoded) {
  if (name == X86_REG_INVALID || name == X86_REG_RIZ || name == X86_REG_EIZ) {
    return 0;
  }
  if (name == X86_REG_RIP) {
    return decoded.address + decoded.size;
  }
  for (const RegisterPlace& place : kRegisters) {
    if (place.name == name) {
      const uint64_t value = registers.*place.value;
      return place.is_wide ? value : value & 0xffffffff;
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> segment_base(x86_reg segment, const Registers& registers,
                                     Architecture architecture) {
  if (segment != X86_REG_FS && segment != X86_REG_GS) {
    return 0;  // Linux gives a process nothing but flat ones
  }
  if (architecture == Architecture::i386) {
    return std::nullopt;
  }
  return segment == X86_REG_FS ? registers.fs_base : registers.gs_base;
}

struct Use {
  bool reads = false, writes = false;
};

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

bool starts_with_one_of(std::string_view name, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts,
                             [&](std::string_view start) { return name.starts_with(start); });
}

// What the instruction `name` does to its operand `index`, if that is memory; neither: not known.
Use use_of(std::string_view name, size_t index) {
  if (is_one_of(name, {"add", "adc", "sub", "sbb", "and", "or", "xor", "inc", "dec", "neg", "not",
                       "shl", "shr", "sar", "rol", "ror", "rcl", "rcr"})) {
    return {true, index == 0};
  }
  if (is_one_of(name, {"xchg", "xadd", "cmpxchg", "cmpxchg8b", "cmpxchg16b"})) {
    return {true, true};
  }
  if (index > 0) {
    return {name != "lea", false};
  }
  if (is_one_of(name, {"cmp", "test", "push", "call", "jmp", "mul", "imul", "div", "idiv"}) ||
      starts_with_one_of(name, {"fld", "fild", "cmps", "scas"})) {
    return {true, false};
  }
  return {false, starts_with_one_of(name, {"mov", "vmov", "set", "stos", "pop", "fst", "fist"})};
}

// "rep movsb" -> "movsb"
std::string_view without_prefix(std::string_view mnemonic) {
  return mnemonic.substr(mnemonic.rfind(' ') + 1);
}

std::vector<MemoryAccess> accesses_of(const cs_insn& decoded, const Registers& registers,
                                      Architecture architecture) {
  std::vector<MemoryAccess> accesses;
  const cs_x86& details = decoded.detail->x86;
  for (size_t i = 0; i < std::min<size_t>(details.op_count, std::size(details.operands)); ++i) {
    const cs_x86_op& operand = details.operands[i];
    const Use use = use_of(without_prefix(decoded.mnemonic), i);
    if (operand.type != X86_OP_MEM || !(use.reads || use.writes)) {
      continue;
    }
    const auto base = value_of(operand.mem.base, registers, decoded);
    const auto index = value_of(operand.mem.index, registers, decoded);
    const auto segment = segment_base(operand.mem.segment, registers, architecture);
    if (!base || !index || !segment) {
      continue;
    }
    const uint64_t sum = *base + *index * static_cast<uint64_t>(operand.mem.scale) +
                         static_cast<uint64_t>(operand.mem.disp);
    const uint64_t address = details.addr_size == 8 ? sum : sum & 0xffffffff;
    accesses.push_back({*segment + address, operand.size, use.reads, use.writes});
  }
  return accesses;
}

// The last instructions before `address`; none unless one of them ends there.
std::vector<Instruction> decode_before(Decoder& decoder, const MemoryRange& code,
                                       uint64_t address) {
  std::vector<Instruction> before;
  uint64_t at = code.address;
  while (at < address) {
    const std::string_view rest = std::string_view(code.bytes).substr(at - code.address);
    const cs_insn* decoded = decoder.decode(rest, at);
    if (decoded == nullptr || decoded->size == 0) {
      return {};
    }
    if (before.size() == kBefore) {
      before.erase(before.begin());
    }
    before.push_back(to_instruction(*decoded, rest));
    at += decoded->size;
  }
  return at == address ? before : std::vector<Instruction>();
}

}  // namespace

std::shared_ptr<const Disassembly> disassemble(const CodePlace& place, const RawCrash& crash,
                                               const AddressSpace& files) {
  const uint64_t address = place.address;
  const bool is_near = place.function_start && *place.function_start <= address &&
                       address - *place.function_start <= kFarthestStart;
  const MemoryRange code =
      code_from(is_near ? *place.function_start : address, address, crash, files);
  if (code.end() <= address) {
    return nullptr;
  }
  Decoder decoder(crash.architecture);
  const auto result = std::make_shared<Disassembly>();
  result->instructions = decode_before(decoder, code, address);
  result->current = result->instructions.size();

  uint64_t at = address;
  for (size_t i = 0; i <= kBehind && at < code.end(); ++i) {
    const std::string_view rest = std::string_view(code.bytes).substr(at - code.address);
    const cs_insn* decoded = decoder.decode(rest, at);
    if (decoded == nullptr || decoded->size == 0) {
      if (i == 0) {
        result->instructions.push_back({at, std::string(rest.substr(0, kLongestInstruction)), ""});
      }
      break;
    }
    if (i == 0) {
      result->accesses = accesses_of(*decoded, place.registers, crash.architecture);
    }
    result->instructions.push_back(to_instruction(*decoded, rest));
    at += decoded->size;
  }
  return result;
}

}  // namespace crashcrawler
