/* hardware.h: the registers of the AM335x that the firmware touches. Source: AM335x TRM (SPRUH73), chapters 4, 8, 12.
 *
 * LBCO and SBCO take the number of an entry of the PRU's constant table instead of a base register.
 */
#ifndef RPMU_HARDWARE_H
#define RPMU_HARDWARE_H

#define DRAM0 24                            /* constant table: this core's own 8 kB, address 0 */
#define CFG 4                               /* constant table: PRUSS configuration, 0x26000 */
#define IEP 26                              /* constant table: industrial Ethernet timer, 0x2E000 */

#define CTRL0_ADDRESS 0x22000               /* control registers of PRU0 */
#define CTRL_CTBIR0 0x20                    /* block index of constants 24 and 25 ... */
#define CTRL_CTBIR1 0x24                    /* ... 26 and 27: 0 puts them where the comments above say */

#define CFG_SYSCFG 0x04
#define SYSCFG_STANDBY_INIT_BIT 4           /* 1: the OCP master port, the way to everything outside, is closed */

#define IEP_GLOBAL_CFG 0x00
#define IEP_COUNT_BY_ONE 0x11               /* enabled, adds 1 every 5 ns */
#define IEP_COUNT 0x0C
#define IEP_CMP_CFG 0x40                    /* 0: no compare resets the count; it wraps at 2^32 (21.47 s) */

#define CLOCK_ADDRESS 0x44E00400            /* CM_WKUP */
#define CLOCK_ADC 0xBC                      /* CM_WKUP_ADC_TSC_CLKCTRL */
#define CLOCK_ADC_ENABLE 2
#define CLOCK_ADC_IDLEST_BIT 16             /* two bits: 0 is functional */

#define ADC_ADDRESS 0x44E0D000
#define ADC_REVISION 0x00
#define ADC_REVISION_HIGH 0x4730            /* upper half; the lower counts releases of the module */
#define ADC_SYSCONFIG 0x10
#define ADC_NO_IDLE 0x04
#define ADC_IRQSTATUS_RAW 0x24
#define ADC_IRQSTATUS 0x28
#define ADC_IRQENABLE_CLR 0x30
#define ADC_IRQ_ALL 0x7FF
#define ADC_IRQ_OVERRUN_BIT 3               /* of FIFO0 */
#define ADC_IRQ_UNDERFLOW_BIT 4
#define ADC_IRQ_ERRORS 0x18                 /* both */
#define ADC_DMAENABLE_CLR 0x3C
#define ADC_CTRL 0x40
#define ADC_CTRL_CONFIGURE 0x06             /* off, words tagged with their step, step registers writable */
#define ADC_CTRL_RUN 0x03                   /* on, tagged, step registers protected */
#define ADC_ADCSTAT 0x44
#define ADC_ADCSTAT_IDLE 0x10               /* low byte: not busy, sequencer in its idle state */
#define ADC_CLKDIV 0x4C
#define ADC_STEPENABLE 0x54                 /* bit 0 is the charge step, bit n step n */
#define ADC_STEPCONFIG1 0x64                /* STEPCONFIGn and STEPDELAYn alternate from here */
#define ADC_STEP_CONTINUOUS 0x00040001      /* software-enabled, continuous, no averaging, against VREFN (8), FIFO0 */
#define ADC_STEP_INPUT_SHIFT 19
#define ADC_STEP_DELAY_RESERVED 0x00FC0000
#define ADC_FIFO0COUNT 0xE4
#define ADC_FIFO_ADDRESS 0x44E0D100         /* FIFO0DATA: [11:0] sample, [19:16] step - 1. Never read it empty. */

#endif
